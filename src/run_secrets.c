/*
 * Secrets from Doppler, over what the environment brought.
 */
#include "run.h"

#include "base/log.h"
#include "doppler/doppler.h"
#include "report.h"

/* Doppler is where the secrets live: a copy in the environment that differs is an old one. */
static void take(struct run *r, const struct val *secrets)
{
	r->gh.sink = report_raw;
	MAP_EACH (i, secrets) {
		struct val *v = val_value_at(secrets, i);

		if (val_secret(v)) {
			gh_mask(&r->gh, val_get_str(v));
			log_secret(val_get_str(v));
		}
		val_sets(r->env, val_get_str(val_key_at(secrets, i)), v);
	}
	r->gh.sink = report_text;
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
	take(r, secrets);
	log_line(LOG_INFO, "Secrets: %zu from Doppler", val_len(secrets));
	return true;
}
