/*
 * Secrets from Doppler, over what the environment brought.
 */
#include "run.h"

#include "base/log.h"
#include "base/secret.h"
#include "doppler/doppler.h"
#include "report.h"

/* Doppler is where the secrets live: a copy in the environment that differs is an old one. */
static void take(struct run *r, const struct val *secrets, struct errs *errs)
{
	r->gh.sink = report_raw;
	MAP_EACH (i, secrets) {
		struct val *v = val_value_at(secrets, i);
		struct str name = val_get_str(val_key_at(secrets, i));

		if (val_secret(v))
			run_hide(r, name, val_get_str(v), errs);
		val_sets(r->env, name, v);
	}
	r->gh.sink = report_text;
}

/* Doppler masks all there is unless told otherwise; a version number can hardly be hidden, and is no secret.
 */
static void note_shown(const struct val *secrets)
{
	struct buf names = {0};

	MAP_EACH (i, secrets) {
		const struct val *v = val_value_at(secrets, i);

		if (val_secret(v) && str_trim(val_get_str(v)).n < SECRET_MIN && val_len(v))
			buf_printf(&names, "%s%s", names.n ? ", " : "", val_get_strz(val_key_at(secrets, i)));
	}
	if (names.n)
		log_line(LOG_INFO, "Too short to be hidden in this log, so taken for settings: %s", names.p);
	buf_free(&names);
}

/* An input, or the names the environment may have it under. */
static const char *setting(const struct run *r, const char *input, const char *names)
{
	const char *given = inputs_get(r->in, input);

	return *given ? given : run_secret(r, names);
}

bool run_fetch_secrets(struct run *r, struct errs *errs)
{
	struct doppler_opts o = {
	        .api = run_secret(r, "DOPPLER_API_HOST"),
	        .token = setting(r, "doppler_token", "DOPPLER_TOKEN"),
	        .identity = setting(r, "doppler_identity", "DOPPLER_IDENTITY"),
	        .project = setting(r, "doppler_project", "DOPPLER_TARGET_PROJECT|DOPPLER_PROJECT"),
	        .config = setting(r, "doppler_config", "DOPPLER_TARGET_CONFIG|DOPPLER_CONFIG"),
	        .oidc_url = run_secret(r, "ACTIONS_ID_TOKEN_REQUEST_URL"),
	        .oidc_token = run_secret(r, "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
	        .visibility = true,
	};
	struct val *secrets;

	if (!o.token && !o.identity) {
		log_line(LOG_INFO, "Secrets: from the environment (no DOPPLER_TOKEN)");
		return true;
	}
	if (!run_ca_pem(r, &o.ca_pem, errs_add(errs)) ||
	    !doppler_fetch(r->loop, r->a, &o, &secrets, &errs->v[errs->n - 1]))
		return false;
	errs_ok(errs);
	take(r, secrets, errs);
	log_line(LOG_INFO, "Secrets: %zu from Doppler", val_len(secrets));
	note_shown(secrets);
	return errs->n == 0;
}
