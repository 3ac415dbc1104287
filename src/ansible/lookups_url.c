/* The lookup plugin that asks a web server, from the controller. */
#include "ansible/core.h"
#include "ansible/lookups.h"
#include "modules/fetch_url.h"
#include <unistd.h>

/* The plugin's options by the names that requests of modules have. */
static struct val *request_args(struct lookup_call *c)
{
	static const char *const renamed[][2] = {{"username", "url_username"}, {"password", "url_password"}};
	struct val *args = val_shallow(c->a, c->opts);
	for (size_t i = 0; i < 2; i++) {
		struct val *v = val_get(args, renamed[i][0]);
		if (v)
			val_set(args, renamed[i][1], v);
		val_del(args, str_c(renamed[i][0]));
	}
	/* As checked arguments have them: defaults filled in, words read. */
	static const struct {
		const char *name;
		bool dflt;
	} flags[] = {{"validate_certs", true}, {"use_proxy", true}, {"force_basic_auth", false}};
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		const struct val *v = val_get(args, flags[i].name);
		val_set(args, flags[i].name, val_bool(v ? val_to_bool(v) : flags[i].dflt));
	}
	val_set(args, "timeout", val_int(c->a, val_map_int(args, "timeout", 10)));
	return args;
}

static void push_lines(struct lookup_call *c, struct str body)
{
	while (body.p && body.n) {
		struct str line = str_split(&body, '\n');
		if (str_ends(line, "\r"))
			line.n--;
		val_push(c->ret, val_str(c->a, line));
	}
}

bool lk_url(struct lookup_call *c, struct err *err)
{
	const struct val *split = val_get(c->opts, "split_lines"), *headers = val_get(c->opts, "headers");
	struct mod_ctx m = {
	        .a = c->a, .args = request_args(c), .env = (const char *const *)environ, .tmp = "/tmp"};
	VAL_EACH (i, c->terms) {
		struct fetched got;
		struct fetch f = {.url = val_text(val_at(c->terms, i), c->a).p,
		                  .headers = headers && val_is_map(headers) ? headers : NULL,
		                  .follow = "all",
		                  .out_fd = -1};
		fetch_url(&m, &f, &got);
		if (got.status != 200)
			return err_set(err, ERR_REMOTE, val_origin(val_at(c->terms, i)),
			               got.status > 0 ? "Received HTTP error for %s : %s"
			                              : "Failed lookup url for %s : %s",
			               f.url, got.msg);
		if (!split || val_to_bool(split))
			push_lines(c, got.body);
		else
			val_push(c->ret, val_str(c->a, got.body));
	}
	return true;
}
