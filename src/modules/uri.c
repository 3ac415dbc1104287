#include <ctype.h>
#include <strings.h>
#include "base/json.h"
#include "modules/fetch_url.h"

/* Python's urlencode(): space as +. */
static void add_encoded(struct buf *b, struct str s)
{
	struct buf one = {0};
	buf_percent(&one, s);
	for (size_t i = 0; i < one.n; i++)
		if (one.n - i >= 3 && memcmp(one.p + i, "%20", 3) == 0) {
			buf_addc(b, '+');
			i += 2;
		} else {
			buf_addc(b, one.p[i]);
		}
	buf_free(&one);
}

static void add_pair(struct mod_ctx *m, struct buf *b, const struct val *k, const struct val *v)
{
	if (val_is_list(v)) {
		VAL_EACH (i, v)
			add_pair(m, b, k, val_at(v, i));
		return;
	}
	if (val_is_null(v))
		return;
	if (b->n)
		buf_addc(b, '&');
	add_encoded(b, val_text(k, m->a));
	buf_addc(b, '=');
	add_encoded(b, val_text(v, m->a));
}

static bool form_body(struct mod_ctx *m, const struct val *body, struct buf *b)
{
	if (val_is_map(body)) {
		MAP_EACH (i, body)
			add_pair(m, b, val_key_at(body, i), val_value_at(body, i));
		return true;
	}
	VAL_EACH (i, body) {
		const struct val *pair = val_at(body, i);
		if (!val_is_list(pair) || val_len(pair) != 2)
			return mod_fail(m,
			                "failed to parse body as form_urlencoded: too many values to unpack "
			                "(expected 2)");
		add_pair(m, b, val_at(pair, 0), val_at(pair, 1));
	}
	return true;
}

static void add_part(struct mod_ctx *m, struct buf *b, const char *boundary, struct str name,
                     const char *file, const char *type, struct str data)
{
	(void)m;
	buf_printf(b, "--%s\r\nContent-Disposition: form-data; name=\"%.*s\"", boundary, STR_FMT(name));
	if (file)
		buf_printf(b, "; filename=\"%s\"", fs_basename(file));
	buf_adds(b, "\r\n");
	if (type)
		buf_printf(b, "Content-Type: %s\r\n", type);
	buf_adds(b, "\r\n");
	buf_addstr(b, data);
	buf_adds(b, "\r\n");
}

static bool multipart_body(struct mod_ctx *m, const struct val *body, const char *boundary, struct buf *b)
{
	if (!val_is_map(body))
		return mod_fail(m, "failed to parse body as form-multipart: Mapping is required");
	MAP_EACH (i, body) {
		struct str name = val_text(val_key_at(body, i), m->a), data;
		const struct val *v = val_value_at(body, i);
		if (!val_is_map(v)) {
			add_part(m, b, boundary, name, NULL, NULL, val_text(v, m->a));
			continue;
		}
		const char *file = val_map_strz(v, "filename", NULL),
		           *type = val_map_strz(v, "mime_type", NULL);
		if (val_get(v, "content"))
			data = val_map_str(v, "content", "");
		else if (!file || !mod_read(m, file, &data))
			return m->failed ? false
			                 : mod_fail(m,
			                            "failed to parse body as form-multipart: at least one of "
			                            "filename or content must be provided");
		add_part(m, b, boundary, name, file,
		         type   ? type
		         : file ? "application/octet-stream"
		                : "text/plain",
		         data);
	}
	buf_printf(b, "--%s--\r\n", boundary);
	return true;
}

static void default_header(struct mod_ctx *m, struct val *headers, const char *name, const char *value)
{
	MAP_EACH (i, headers) {
		struct str k = val_text(val_key_at(headers, i), m->a);
		if (k.n == strlen(name) && strncasecmp(k.p, name, k.n) == 0)
			return;
	}
	val_set(headers, name, val_strz(m->a, value));
}

static bool make_body(struct mod_ctx *m, struct val *headers, struct str *ret)
{
	const struct val *body = val_get(m->args, "body");
	struct buf b = {0};
	bool ok = true;
	*ret = (struct str){0};
	if (mod_has(m, "src"))
		return m->content_sha256.n ? mod_content(m, ret) : mod_read(m, mod_arg(m, "src"), ret);
	if (!body)
		return true;
	bool structured = val_is_map(body) || val_is_list(body);
	if (mod_is(m, "body_format", "json")) {
		if (val_is_str(body))
			buf_addstr(&b, val_get_str(body));
		else
			json_dump(body, JSON_STYLE_PYTHON, &b);
		default_header(m, headers, "Content-Type", "application/json");
	} else if (mod_is(m, "body_format", "form-urlencoded") && structured) {
		ok = form_body(m, body, &b);
		default_header(m, headers, "Content-Type", "application/x-www-form-urlencoded");
	} else if (mod_is(m, "body_format", "form-multipart")) {
		const char *boundary = "===============nante7d4e1b90==";
		ok = multipart_body(m, body, boundary, &b);
		default_header(m, headers, "Content-Type",
		               arena_printf(m->a, "multipart/form-data; boundary=\"%s\"", boundary));
	} else {
		buf_addstr(&b, val_text(body, m->a));
		if (mod_is(m, "body_format", "form-urlencoded"))
			default_header(m, headers, "Content-Type", "application/x-www-form-urlencoded");
	}
	*ret = buf_take(&b, m->a);
	buf_free(&b);
	return ok;
}

static bool status_expected(struct mod_ctx *m, long status)
{
	const struct val *codes = mod_list(m, "status_code");
	VAL_EACH (i, codes)
		if (val_kind(val_at(codes, i)) == VAL_INT && val_get_int(val_at(codes, i)) == status)
			return true;
	return false;
}

/* Parses an answer that says it is JSON; one that is not is simply left as text. */
static void set_json(struct mod_ctx *m, const struct fetched *r)
{
	struct val *v = NULL;
	struct err e = {0};
	struct str type = val_map_str(r->headers, "content_type", ""), kind = str_split(&type, ';');
	const char *z = arena_strndup(m->a, kind.p ? kind.p : "", str_trim(kind).n), *slash = strchr(z, '/'),
	           *plus = strchr(z, '+'), *sub = plus ? plus : slash;
	if (!sub || (strcasecmp(sub + 1, "json") != 0 && strcasecmp(sub + 1, "javascript") != 0))
		return;
	if (json_parse(m->a, r->body, 0, &v, &e))
		mod_set(m, "json", v);
	err_clear(&e);
}

static bool write_dest(struct mod_ctx *m, const struct fetched *r)
{
	const char *dest = mod_arg(m, "dest");
	struct str old;
	if (fs_is_dir(dest)) {
		const char *name = fs_basename(r->url);
		dest = fs_join(m->a, dest, *name ? name : "index.html");
	}
	mod_sets(m, "path", dest);
	if (!mod_read_maybe(m, dest, &old))
		return false;
	if (!old.p || !str_eq(old, r->body)) {
		mod_changed(m);
		if (!mod_write(m, dest, r->body))
			return false;
	}
	return mod_file_args(m, dest);
}

static bool is_skipped(struct mod_ctx *m)
{
	const char *creates = mod_arg(m, "creates"), *removes = mod_arg(m, "removes");
	if (creates && fs_exists(creates))
		mod_setf(m, "stdout", "skipped, since '%s' exists", creates);
	else if (removes && !fs_exists(removes))
		mod_setf(m, "stdout", "skipped, since '%s' does not exist", removes);
	else
		return false;
	return true;
}

static const char *follow_mode(struct mod_ctx *m)
{
	const char *z = mod_arg(m, "follow_redirects");
	if (strcmp(z, "yes") == 0 || strcmp(z, "all") == 0)
		return "all";
	return strcmp(z, "no") == 0 ? "none" : z;
}

static const char *upper(struct mod_ctx *m, const char *z)
{
	char *up = arena_strdup(m->a, z);
	for (char *p = up; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return up;
}

static void set_cookies(struct mod_ctx *m, const struct fetched *r)
{
	struct buf b = {0};
	mod_set(m, "cookies", r->cookies);
	MAP_EACH (i, r->cookies)
		buf_printf(&b, "%s%s=%s", i ? "; " : "", val_get_strz(val_key_at(r->cookies, i)),
		           val_get_strz(val_value_at(r->cookies, i)));
	mod_setstr(m, "cookies_string", buf_str(&b));
	buf_free(&b);
}

/* What is said of an answer besides its headers. A refusal that the task expects keeps its text as body. */
static void set_answer(struct mod_ctx *m, const struct fetched *r, bool fine)
{
	mod_seti(m, "status", r->status);
	mod_sets(m, "url", r->url);
	mod_sets(m, "msg", r->msg);
	mod_setb(m, "redirected", r->redirected);
	mod_seti(m, "elapsed", (int64_t)r->seconds);
	const struct val *to = val_get(m->result, "location");
	if (to)
		mod_sets(m, "location", fetch_absolute(m, mod_arg(m, "url"), val_get_strz(to)));
	if (r->status > 0 && r->status < 300)
		set_cookies(m, r);
	if (r->status > 0)
		set_json(m, r);
	if (mod_bool(m, "return_content"))
		mod_setstr(m, "content", r->body);
	else if (fine && r->status >= 300 && !val_get(m->result, "json"))
		mod_setstr(m, "body", r->body);
}

static bool run(struct mod_ctx *m)
{
	struct val *given = val_get(m->args, "headers");
	struct val *headers = given && val_is_map(given) ? val_shallow(m->a, given) : val_map(m->a);
	struct fetch f = {
	        .url = mod_arg(m, "url"), .headers = headers, .follow = follow_mode(m), .out_fd = -1};
	struct fetched r;
	f.method = upper(m, mod_arg(m, "method"));
	if (!*f.method || f.method[strspn(f.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")])
		return mod_fail(
		        m, "Parameter 'method' needs to be a single word in uppercase, like GET or POST.");
	if (is_skipped(m))
		return true;
	if (!make_body(m, headers, &f.body))
		return false;
	if (mod_bool(m, "force"))
		default_header(m, headers, "Cache-Control", "no-cache");
	fetch_url(m, &f, &r);
	MAP_EACH (i, r.headers)
		val_setk(m->result, val_key_at(r.headers, i), val_value_at(r.headers, i));
	bool fine = status_expected(m, r.status);
	set_answer(m, &r, fine);
	if (fine && mod_has(m, "dest") && r.status != 304 && !write_dest(m, &r))
		return false;
	if (fine)
		return true;
	struct str codes = val_text(val_get(m->args, "status_code"), m->a);
	return mod_fail(m, "Status code was %ld and not %.*s: %s", r.status, STR_FMT(codes), r.msg);
}

static const struct mod_arg args[] = {
        {"url", MT_STR, MA_REQUIRED, .doc = "The address."},
        {"method", MT_STR, .dflt = "GET", .doc = "The HTTP method."},
        {"body", MT_RAW, .doc = "What to send."},
        {"body_format", MT_STR, .dflt = "raw", .choices = "form-multipart|form-urlencoded|json|raw",
         .doc = "How to encode it."},
        {"src", MT_PATH, .doc = "A file to send."},
        {"headers", MT_DICT, .doc = "Headers to send."},
        {"status_code", MT_LIST, .elem = MT_INT, .dflt = "200", .doc = "Statuses that are fine."},
        {"return_content", MT_BOOL, .dflt = "false", .doc = "Return the answer's text."},
        {"dest", MT_PATH, .doc = "Where to store it."},
        {"creates", MT_PATH, .doc = "Do nothing when this exists."},
        {"removes", MT_PATH, .doc = "Do nothing when this does not exist."},
        {"follow_redirects", MT_STR, .dflt = "safe", .choices = "all|no|none|safe|urllib2|yes",
         .doc = "Which to follow."},
        {"force", MT_BOOL, .dflt = "false", .doc = "Ask for a fresh answer."},
        {"remote_src", MT_BOOL, .dflt = "false", .doc = "src is on the host."},
        FETCH_ARGS,
        {NULL},
};

const struct module module_row_uri = {
        .name = "uri",
        .from = "ansible.builtin",
        .doc = "Talks to a web service.",
        .args = args,
        .flags = MOD_FILE_ARGS,
        .mutually_exclusive = "body|src",
        .run = run,
};
