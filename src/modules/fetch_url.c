#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include "modules/fetch_url.h"

enum { MAX_HOPS = 10 };

struct transfer {
	struct mod_ctx *m;
	const struct fetch *f;
	struct fetched *ret;
	struct buf body;
	const char *reason, *refused; /* refused: the address that an answer may not lead to */
	bool write_failed;
};

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = size * n;
	t->ret->bytes += (int64_t)len;
	if (t->f->out_fd < 0) {
		buf_add(&t->body, p, len);
		return t->body.full ? 0 : len;
	}
	for (size_t done = 0; done < len;) {
		ssize_t w = write(t->f->out_fd, p + done, len - done);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			t->write_failed = true;
			return 0;
		}
		done += (size_t)w;
	}
	return len;
}

static void add_cookie(struct transfer *t, struct str v)
{
	v = str_split(&v, ';');
	struct str name = str_split(&v, '=');
	if (v.p)
		val_sets(t->ret->cookies, str_trim(name), val_str(t->m->a, v));
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	struct arena *a = t->m->a;
	struct str line = str_trim(str_n(p, size * n)), value = line, key;
	if (str_starts(line, "HTTP/")) {
		/* The answer after a redirect starts afresh. */
		t->ret->headers = val_map(a);
		(void)str_split(&value, ' ');
		(void)str_split(&value, ' ');
		t->reason = arena_strndup(a, value.p ? value.p : "", value.n);
		return size * n;
	}
	key = str_split(&value, ':');
	if (!value.p)
		return size * n;
	char *name = arena_strndup(a, key.p, key.n);
	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
	value = str_trim(value);
	if (strcmp(name, "set_cookie") == 0)
		add_cookie(t, value);
	struct val *had = val_get(t->ret->headers, name);
	val_set(t->ret->headers, name,
	        had ? val_strf(a, "%s, %.*s", val_get_strz(had), STR_FMT(value)) : val_str(a, value));
	return size * n;
}

static const char *ca_bundle(struct mod_ctx *m)
{
	static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
	                                     "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
	                                     "/etc/ssl/ca-bundle.pem"};
	const char *own = mod_arg(m, "ca_path");
	if (!own)
		own = mod_env(m, "SSL_CERT_FILE");
	for (size_t i = 0; !own && i < sizeof(places) / sizeof(*places); i++)
		if (fs_exists(places[i]))
			own = places[i];
	return own;
}

static struct curl_slist *header_list(struct mod_ctx *m, const struct fetch *f)
{
	struct curl_slist *list = NULL;
	bool typed = false;
	if (f->headers)
		MAP_EACH (i, f->headers) {
			struct str k = val_text(val_key_at(f->headers, i), m->a);
			struct str v = val_text(val_value_at(f->headers, i), m->a);
			/* curl takes "Name;" for a header without a value. */
			const char *line = v.n ? arena_printf(m->a, "%.*s: %.*s", STR_FMT(k), STR_FMT(v))
			                       : arena_printf(m->a, "%.*s;", STR_FMT(k));
			list = xneed(curl_slist_append(list, line));
			typed = typed || (k.n == 12 && strncasecmp(k.p, "content-type", 12) == 0);
		}
	if (f->if_modified)
		list = xneed(
		        curl_slist_append(list, arena_printf(m->a, "If-Modified-Since: %s", f->if_modified)));
	if (f->body.n && !typed)
		list = xneed(curl_slist_append(list, "Content-Type: application/x-www-form-urlencoded"));
	return xneed(curl_slist_append(list, "Expect:"));
}

static void set_proxy(struct mod_ctx *m, CURL *c, const char *url)
{
	/* The task's environment counts, not the agent's. */
	const char *no = mod_env(m, "no_proxy"), *proxy = NULL;
	bool tls = strncmp(url, "https", 5) == 0;
	if (mod_has(m, "use_proxy") && !mod_bool(m, "use_proxy")) {
		curl_easy_setopt(c, CURLOPT_PROXY, "");
		return;
	}
	proxy = mod_env(m, tls ? "https_proxy" : "http_proxy");
	if (!proxy)
		proxy = mod_env(m, tls ? "HTTPS_PROXY" : "all_proxy");
	curl_easy_setopt(c, CURLOPT_PROXY, proxy ? proxy : "");
	if (!no)
		no = mod_env(m, "NO_PROXY");
	if (no)
		curl_easy_setopt(c, CURLOPT_NOPROXY, no);
}

static void set_security(struct mod_ctx *m, CURL *c)
{
	bool check = !mod_has(m, "validate_certs") || mod_bool(m, "validate_certs");
	const char *ca = ca_bundle(m);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, check ? 1L : 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, check ? 2L : 0L);
	if (ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, ca);
	if (mod_has(m, "client_cert"))
		curl_easy_setopt(c, CURLOPT_SSLCERT, mod_arg(m, "client_cert"));
	if (mod_has(m, "client_key"))
		curl_easy_setopt(c, CURLOPT_SSLKEY, mod_arg(m, "client_key"));
	const struct val *ciphers = mod_list(m, "ciphers");
	if (val_len(ciphers)) {
		struct buf b = {0};
		VAL_EACH (i, ciphers) {
			struct str one = val_text(val_at(ciphers, i), m->a);
			buf_printf(&b, "%s%.*s", i ? ":" : "", STR_FMT(one));
		}
		curl_easy_setopt(c, CURLOPT_SSL_CIPHER_LIST, b.p);
		buf_free(&b);
	}
	if (mod_has(m, "url_username")) {
		curl_easy_setopt(c, CURLOPT_USERNAME, mod_arg(m, "url_username"));
		curl_easy_setopt(c, CURLOPT_PASSWORD,
		                 mod_has(m, "url_password") ? mod_arg(m, "url_password") : "");
		curl_easy_setopt(c, CURLOPT_HTTPAUTH,
		                 mod_bool(m, "force_basic_auth") ? CURLAUTH_BASIC
		                                                 : CURLAUTH_BASIC | CURLAUTH_DIGEST);
	}
}

/* MAP less the entries with a name (in any case) in NAMES, which ends in NULL, or in the list MORE. */
static struct val *headers_less(struct mod_ctx *m, const struct val *map, const char *const names[],
                                const struct val *more)
{
	struct val *left = val_map(m->a);
	MAP_EACH (i, map) {
		const char *k = val_get_strz(val_key_at(map, i));
		bool gone = false;
		for (size_t n = 0; names[n]; n++)
			gone = gone || strcasecmp(k, names[n]) == 0;
		VAL_EACH (n, more)
			gone = gone || strcasecmp(k, val_get_strz(val_at(more, n))) == 0;
		if (!gone)
			val_setk(left, val_key_at(map, i), val_value_at(map, i));
	}
	return left;
}

/* The length of the part of URL before its path. */
static size_t origin_length(const char *url)
{
	const char *p = strstr(url, "://");
	p = p ? p + 3 : url;
	return (size_t)(p - url) + strcspn(p, "/?#");
}

/* What F asks after an answer of STATUS that leads to TO; false where that answer is the last. AUTH says on
 * return whether the user's name and password go along. */
static bool redirected(struct mod_ctx *m, struct fetch *f, long status, const char *to, bool *auth)
{
	static const char *const body[] = {"content-length", "content-type", "transfer-encoding", NULL};
	static const char *const secret[] = {"authorization", "cookie", NULL};
	const char *method = f->method ? f->method : "GET";
	bool head = strcmp(method, "HEAD") == 0, post = strcmp(method, "POST") == 0,
	     reads = head || strcmp(method, "GET") == 0, urllib = strcmp(f->follow, "urllib2") == 0,
	     keeps = status == 307 || status == 308;
	const struct val *drop = mod_list(m, "unredirected_headers");
	if (strcmp(f->follow, "none") == 0 || (strcmp(f->follow, "safe") == 0 && !reads) ||
	    (urllib && !reads && (keeps || !post)))
		return false;
	if (!keeps) {
		f->body = (struct str){0};
		if (!head && (status != 301 || post || urllib))
			f->method = "GET";
	}
	size_t n = origin_length(to);
	bool same = n == origin_length(f->url) && strncmp(to, f->url, n) == 0;
	*auth = *auth && same;
	VAL_EACH (i, drop)
		*auth = *auth && strcasecmp(val_get_strz(val_at(drop, i)), "authorization") != 0;
	if (f->headers)
		f->headers = headers_less(m, f->headers, keeps ? body + 3 : body, drop);
	if (f->headers && !same)
		f->headers = headers_less(m, f->headers, secret, val_list(m->a));
	f->url = to;
	return true;
}

static CURLcode set_request(struct mod_ctx *m, CURL *c, const struct fetch *f)
{
	const char *method = f->method ? f->method : "GET";
	bool sends =
	        strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
	curl_easy_setopt(c, CURLOPT_URL, f->url);
	curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	if (f->body.n || sends) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body.n);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, f->body.n ? f->body.p : "");
	}
	curl_easy_setopt(c, CURLOPT_USERAGENT,
	                 mod_has(m, "http_agent") ? mod_arg(m, "http_agent") : "ansible-httpget");
	long timeout = (long)mod_int(m, "timeout", 30);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, timeout);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, timeout);
	if (!mod_has(m, "decompress") || mod_bool(m, "decompress"))
		curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
	return mod_has(m, "unix_socket")
	               ? curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, mod_arg(m, "unix_socket"))
	               : CURLE_OK;
}

/* Why nobody was reached, in the words that roles wait for: "Connection refused", "timed out" … */
static const char *unreached(struct arena *a, CURL *c, CURLcode rc, const char *why)
{
	long number = 0;
	if (rc == CURLE_COULDNT_CONNECT)
		curl_easy_getinfo(c, CURLINFO_OS_ERRNO, &number);
	if (number > 0)
		return arena_printf(a, "[Errno %ld] %s", number, strerror((int)number));
	if (rc == CURLE_COULDNT_RESOLVE_HOST)
		return "[Errno -2] Name or service not known";
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return "timed out";
	if (rc == CURLE_PARTIAL_FILE)
		return "Incomplete read";
	return *why ? why : curl_easy_strerror(rc);
}

static void set_message(struct transfer *t, CURL *c, CURLcode rc, const char *why)
{
	struct arena *a = t->m->a;
	struct fetched *r = t->ret;
	if (rc != CURLE_OK) {
		r->status = -1;
		r->msg = t->write_failed ? arena_printf(a, "Request failed: cannot write the content: %s",
		                                        strerror(errno))
		                         : arena_printf(a, "Request failed: <urlopen error %s>",
		                                        unreached(a, c, rc, why));
	} else if (r->status >= 300) {
		r->msg = arena_printf(a, "HTTP Error %ld: %s", r->status, t->reason ? t->reason : "");
		if (t->refused)
			r->msg = arena_printf(a, "%s - Redirection to url '%s' is not allowed", r->msg,
			                      t->refused);
	} else {
		struct val *len = val_get(r->headers, "content_length");
		r->msg = len ? arena_printf(a, "OK (%s bytes)", val_get_strz(len)) : "OK (unknown bytes)";
	}
}

/* file://PATH, which the product's libcurl is built without. */
static void fetch_file(struct transfer *t)
{
	struct mod_ctx *m = t->m;
	const char *path = strchr(t->f->url + strlen("file://"), '/');
	char *plain = curl_easy_unescape(NULL, path ? path : "/", 0, NULL), block[1 << 16];
	int fd = plain ? open(plain, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = -1;
	bool kept = true;
	while (fd >= 0 && kept && (n = read(fd, block, sizeof(block))) > 0)
		kept = on_body(block, 1, (size_t)n, t) == (size_t)n;
	if (n == 0 && kept) {
		t->ret->status = 200;
		t->ret->msg = arena_printf(m->a, "OK (%lld bytes)", (long long)t->ret->bytes);
	} else {
		t->ret->msg = arena_printf(m->a, "Request failed: <urlopen error [Errno %d] %s: '%s'>", errno,
		                           strerror(errno), path ? path : "");
	}
	if (fd >= 0)
		close(fd);
	curl_free(plain);
	t->ret->body = buf_take(&t->body, m->a);
	buf_free(&t->body);
}

const char *fetch_absolute(struct mod_ctx *m, const char *base, const char *to)
{
	CURLU *u = curl_url();
	char *whole = NULL;
	if (u && !curl_url_set(u, CURLUPART_URL, base, 0) &&
	    !curl_url_set(u, CURLUPART_URL, to, CURLU_URLENCODE) &&
	    !curl_url_get(u, CURLUPART_URL, &whole, 0))
		to = arena_strdup(m->a, whole);
	curl_free(whole);
	curl_url_cleanup(u);
	return to;
}

/* Where an answer of STATUS sends the one who asked for URL; NULL where it does not. */
static const char *next_address(struct transfer *t, const char *url)
{
	static const long codes[] = {301, 302, 303, 307, 308};
	const struct val *to = val_get(t->ret->headers, "location");
	for (size_t i = 0; to && i < sizeof(codes) / sizeof(*codes); i++)
		if (t->ret->status == codes[i])
			return fetch_absolute(t->m, url, val_get_strz(to));
	return NULL;
}

static bool may_lead_to(const char *to)
{
	static const char *const schemes[] = {"http://", "https://", "ftp://"};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (strncasecmp(to, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return false;
}

/* Asks for NOW, and on from there; NOW says at its end what was asked last. */
static CURLcode follow(struct transfer *t, CURL *c, struct fetch *now)
{
	bool auth = true;
	for (int hop = 0;; hop++) {
		struct curl_slist *headers = header_list(t->m, now);
		double seconds = 0;
		CURLcode rc = set_request(t->m, c, now);
		set_proxy(t->m, c, now->url);
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
		rc = rc ? rc : curl_easy_perform(c);
		curl_slist_free_all(headers);
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &t->ret->status);
		curl_easy_getinfo(c, CURLINFO_TOTAL_TIME, &seconds);
		t->ret->seconds += seconds;
		const char *to = next_address(t, now->url);
		t->refused = to && !may_lead_to(to) ? to : NULL;
		if (rc != CURLE_OK || !to || t->refused || hop == MAX_HOPS ||
		    !redirected(t->m, now, t->ret->status, to, &auth))
			return rc;
		if (!auth) {
			curl_easy_setopt(c, CURLOPT_USERNAME, NULL);
			curl_easy_setopt(c, CURLOPT_PASSWORD, NULL);
		}
		buf_free(&t->body);
		t->ret->bytes = 0;
		if (now->out_fd >= 0 &&
		    (ftruncate(now->out_fd, 0) != 0 || lseek(now->out_fd, 0, SEEK_SET) != 0))
			return CURLE_WRITE_ERROR;
	}
}

void fetch_url(struct mod_ctx *m, const struct fetch *f, struct fetched *ret)
{
	char why[CURL_ERROR_SIZE] = "";
	struct transfer t = {.m = m, .f = f, .ret = ret};
	*ret = (struct fetched){
	        .status = -1, .url = f->url, .headers = val_map(m->a), .cookies = val_map(m->a)};
	if (strncmp(f->url, "file://", 7) == 0) {
		fetch_file(&t);
		return;
	}
	CURL *c = curl_easy_init();
	if (!c) {
		ret->msg = "Request failed: curl cannot start";
		return;
	}
	set_security(m, c);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_COOKIEFILE, "");
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &t);
	struct fetch now = *f;
	now.follow = f->follow ? f->follow : "urllib2";
	CURLcode rc = follow(&t, c, &now);
	/* An answer that is an error is told of with the address that was asked first. */
	ret->url = rc == CURLE_OK && ret->status < 300 ? now.url : f->url;
	ret->redirected = strcmp(ret->url, f->url) != 0;
	/* file:// and ftp:// have no HTTP status. */
	if (rc == CURLE_OK && (ret->status == 0 || strncmp(f->url, "http", 4) != 0))
		ret->status = 200;
	set_message(&t, c, rc, why);
	ret->body = buf_take(&t.body, m->a);
	buf_free(&t.body);
	curl_easy_cleanup(c);
}

const char *fetch_to_temp(struct mod_ctx *m, const char *url, const char *suffix)
{
	char *path = arena_printf(m->a, "%s/nante-XXXXXX%s", m->tmp, suffix);
	int fd = mkostemps(path, (int)strlen(suffix), O_CLOEXEC);
	struct fetched got;
	if (fd < 0) {
		mod_fail_sys(m, "cannot create a temporary file in %s", m->tmp);
		return NULL;
	}
	fetch_url(m, &(struct fetch){.url = url, .follow = "urllib2", .out_fd = fd}, &got);
	close(fd);
	if (got.status == 200)
		return path;
	unlink(path);
	mod_fail(m, "Failure downloading %s, %s", url, got.msg);
	return NULL;
}
