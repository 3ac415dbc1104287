/*
 * From the command line and the environment to inputs and masks.
 */
#include "run.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/secret.h"
#include "github/env.h"
#include "report.h"

extern char **environ;

static bool read_env_file(struct run *r, const char *path, struct err *err)
{
	struct buf text;
	bool ok;

	buf_init(&text, FS_READ_MAX);
	ok = fs_read(path, &text, err) &&
	     env_read_file(r->a, r->ss, sources_add(r->ss, path, buf_str(&text)), r->env, err);
	buf_burn(&text);
	return ok;
}

static bool bad_argument(struct errs *errs, const char *arg)
{
	struct err *e = errs_add(errs);

	err_set(e, ERR_USER, ORIGIN_NONE, "unknown argument '%s'", arg);
	return err_hint(e, "known are --input NAME=VALUE, --env-file FILE, -v");
}

/* Env files first: what they hold may be inputs, which --input overrides. */
static void read_arguments(struct run *r, int argc, char **argv, bool env_files, struct errs *errs)
{
	for (int i = 1; i < argc; i++) {
		bool input = strcmp(argv[i], "--input") == 0 || strcmp(argv[i], "-i") == 0;
		bool file = strcmp(argv[i], "--env-file") == 0;

		if ((input || file) && i + 1 == argc) {
			if (env_files)
				continue;
			err_set(errs_add(errs), ERR_USER, ORIGIN_NONE, "%s needs a value", argv[i]);
		} else if (input || file) {
			i++;
			if (input && !env_files)
				inputs_set_pair(r->in, argv[i], errs_add(errs));
			else if (file && env_files)
				read_env_file(r, argv[i], errs_add(errs));
			errs_ok(errs);
		} else if (strcmp(argv[i], "-v") == 0) {
			log_open(stdout, LOG_DEBUG);
		} else if (argv[i][0] != '-' && strcmp(argv[0], "run") == 0 && !env_files && !r->verb) {
			r->verb = argv[i];
		} else if (!env_files && !(argv[i][0] != '-' && r->verb == argv[i])) {
			bad_argument(errs, argv[i]);
		}
	}
}

/* Every secret is known to the log, and to the runner, before anything else is said. */
static void mask_secrets(struct run *r, struct errs *errs)
{
	r->gh.sink = report_raw;
	MAP_EACH (i, r->env) {
		const struct val *v = val_value_at(r->env, i);

		if (val_secret(v))
			run_hide(r, val_get_str(val_key_at(r->env, i)), val_get_str(v), errs);
	}
	r->gh.sink = report_text;
	env_scrub(environ, r->env);
}

void run_hide(struct run *r, struct str name, struct str value, struct errs *errs)
{
	gh_mask(&r->gh, value);
	log_secret(value);
	if (!env_too_short(name, value))
		return;
	struct err *e = errs_add(errs);

	err_set(e, ERR_USER, ORIGIN_NONE, "secret %.*s is too short to be hidden in the log: %zu characters",
	        STR_FMT(name), str_trim(value).n);
	err_hint(e,
	         "give it at least %d, better 12 and more; or, if it is no secret, a name that does not say "
	         "so",
	         SECRET_MIN);
}

/* The input "secrets" (toJSON(secrets)) goes beneath what the environment has. */
static void read_secrets_input(struct run *r, struct errs *errs)
{
	const char *json = inputs_get(r->in, "secrets");

	if (!*json)
		return;
	env_add_json(r->a, str_c(json), inputs_origin(r->in, "secrets").src, r->env, errs_add(errs));
	errs_ok(errs);
}

bool run_read_inputs(struct run *r, int argc, char **argv, struct errs *errs)
{
	r->env = env_load(r->a, environ);
	r->in = inputs_new(r->a, r->ss);
	r->command = argv[0];
	read_arguments(r, argc, argv, true, errs);
	r->gh.actions = gh_detect(r->env);
	gh_files_init(&r->files, &r->gh, r->env);
	if (env_get(r->env, "RUNNER_DEBUG"))
		log_open(stdout, LOG_DEBUG);
	bool misspelt = errs->n > 0; /* a command line that is not understood says nothing about machines */

	inputs_set_env(r->in, r->env, errs);
	size_t before = errs->n;

	read_arguments(r, argc, argv, false, errs);
	misspelt |= errs->n > before;
	read_secrets_input(r, errs);
	mask_secrets(r, errs);
	inputs_check(r->in, errs);
	if (!*r->command)
		r->command = inputs_get(r->in, "command");
	if (errs->n && !misspelt)
		run_model(r, errs);
	return errs->n == 0;
}
