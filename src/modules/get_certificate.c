/* get_certificate - curl makes the connection; it keeps the certificates it was shown when asked to. */
#include <curl/curl.h>
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>
#include "modules/x509.h"

/* MySQL greets first and is then asked, in its own words, to go on in TLS. */
static int ask_mysql(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	static const unsigned char request[36] = {0x20, 0, 0, 1, 0x85, 0xae, 0x7f, 0, 0, 0, 0, 1, 0x21};
	struct timeval limit = {.tv_sec = *(const int64_t *)ctx};
	char greeting[8192];
	(void)purpose;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return recv(fd, greeting, sizeof(greeting), 0) > 0 &&
	                       send(fd, request, sizeof(request), MSG_NOSIGNAL) == (ssize_t)sizeof(request)
	               ? CURL_SOCKOPT_ALREADY_CONNECTED
	               : CURL_SOCKOPT_ERROR;
}

/* A socket that is connected already: what is said before TLS is said on it. */
static curl_socket_t open_connected(void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
	const int64_t *seconds = ctx;
	struct timeval limit = {.tv_sec = *seconds};
	(void)purpose;
	int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, &to->addr, to->addrlen) == 0)
		return fd;
	close(fd);
	return CURL_SOCKET_BAD;
}

static const char *joined(struct mod_ctx *m, const struct val *words)
{
	const char *z = "";
	VAL_EACH (i, words)
		z = arena_printf(m->a, "%s%s%s", z, i ? ":" : "", val_get_strz(val_at(words, i)));
	return z;
}

/* The address goes to CONNECT_TO, the name the server is to answer for into the URL. */
static struct curl_slist *set_target(struct mod_ctx *m, CURL *c)
{
	const char *host = mod_arg(m, "host"),
	           *name = mod_has(m, "server_name") ? mod_arg(m, "server_name") : host;
	int port = (int)mod_int(m, "port", 0);
	bool v6 = strchr(name, ':'), host6 = strchr(host, ':');
	curl_easy_setopt(c, CURLOPT_URL,
	                 arena_printf(m->a, "https://%s%s%s:%d/", v6 ? "[" : "", name, v6 ? "]" : "", port));
	struct curl_slist *to = xneed(curl_slist_append(
	        NULL, arena_printf(m->a, "::%s%s%s:%d", host6 ? "[" : "", host, host6 ? "]" : "", port)));
	curl_easy_setopt(c, CURLOPT_CONNECT_TO, to);
	return to;
}

static void set_options(struct mod_ctx *m, CURL *c, int64_t *seconds)
{
	const char *ca = mod_arg(m, "ca_cert"), *proxy = mod_arg(m, "proxy_host");
	const struct val *ciphers = mod_list(m, "ciphers");
	curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(c, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)*seconds);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, ca ? 1L : 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	if (ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, ca);
	curl_easy_setopt(
	        c, CURLOPT_PROXY,
	        proxy ? arena_printf(m->a, "http://%s:%lld", proxy, (long long)mod_int(m, "proxy_port", 8080))
	              : "");
	if (proxy)
		curl_easy_setopt(c, CURLOPT_HTTPPROXYTUNNEL, 1L);
	if (val_len(ciphers))
		curl_easy_setopt(c, CURLOPT_SSL_CIPHER_LIST, joined(m, ciphers));
	if (!mod_has(m, "starttls"))
		return;
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_connected);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, seconds);
	curl_easy_setopt(c, CURLOPT_SOCKOPTFUNCTION, ask_mysql);
	curl_easy_setopt(c, CURLOPT_SOCKOPTDATA, seconds);
}

static struct str shown(struct mod_ctx *m, CURL *c)
{
	struct curl_certinfo *info = NULL;
	static const char key[] = "Cert:";
	curl_easy_getinfo(c, CURLINFO_CERTINFO, &info);
	for (struct curl_slist *l = info && info->num_of_certs > 0 ? info->certinfo[0] : NULL; l; l = l->next)
		if (strncmp(l->data, key, strlen(key)) == 0)
			return str_dup(m->a, str_c(l->data + strlen(key)));
	return (struct str){0};
}

static bool fetch(struct mod_ctx *m, struct str *pem)
{
	CURL *c = xneed(curl_easy_init());
	char why[CURL_ERROR_SIZE] = "";
	int64_t seconds = mod_int(m, "timeout", 10);
	const char *proxy = mod_arg(m, "proxy_host");
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	set_options(m, c, &seconds);
	struct curl_slist *to = set_target(m, c);
	CURLcode rc = curl_easy_perform(c);
	if (rc == CURLE_OK)
		*pem = shown(m, c);
	const char *said = arena_strdup(m->a, *why ? why : curl_easy_strerror(rc));
	curl_easy_cleanup(c);
	curl_slist_free_all(to);
	if (rc == CURLE_OK)
		return pem->p ||
		       mod_fail(m, "Failed to get cert from %s: it showed none", mod_arg(m, "host"));
	return proxy ? mod_fail(m, "Failed to get cert via proxy %s:%lld from %s:%lld, error: %s", proxy,
	                        (long long)mod_int(m, "proxy_port", 8080), mod_arg(m, "host"),
	                        (long long)mod_int(m, "port", 0), said)
	             : mod_fail(m, "Failed to get cert from %s:%lld, error: %s", mod_arg(m, "host"),
	                        (long long)mod_int(m, "port", 0), said);
}

static struct val *extensions(struct mod_ctx *m, X509 *cert)
{
	struct val *list = val_list(m->a);
	for (int i = 0; i < X509_get_ext_count(cert); i++) {
		X509_EXTENSION *e = X509_get_ext(cert, i);
		const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(e);
		struct str der =
		        str_n((const char *)ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data));
		struct val *one = val_map(m->a);
		struct buf b = {0};
		if (mod_bool(m, "asn1_base64"))
			buf_base64(&b, der);
		else
			buf_addstr(&b, der);
		val_set(one, "critical", val_bool(X509_EXTENSION_get_critical(e) == 1));
		val_set(one, "asn1_data", val_str(m->a, buf_str(&b)));
		val_set(one, "name", val_strz(m->a, x509_oid_name(m, X509_EXTENSION_get_object(e), false)));
		val_push(list, one);
		buf_free(&b);
	}
	return list;
}

static bool run(struct mod_ctx *m)
{
	struct str pem = {0};
	int64_t after;
	const char *ca = mod_arg(m, "ca_cert");
	if (ca && !fs_exists(ca))
		return mod_fail(m, "ca_cert file does not exist");
	if (!fetch(m, &pem))
		return false;
	X509 *cert = x509_cert(m, pem);
	if (!cert)
		return mod_fail(m, "What %s showed is no certificate", mod_arg(m, "host"));
	mod_setstr(m, "cert", x509_cert_pem(m, cert));
	mod_set(m, "subject", x509_pairs_map(m, x509_name_pairs(m, X509_get_subject_name(cert), false)));
	mod_set(m, "issuer", x509_pairs_map(m, x509_name_pairs(m, X509_get_issuer_name(cert), false)));
	mod_set(m, "extensions", extensions(m, cert));
	mod_sets(m, "not_before", x509_time_text(m, X509_get0_notBefore(cert), NULL));
	mod_sets(m, "not_after", x509_time_text(m, X509_get0_notAfter(cert), &after));
	mod_setb(m, "expired", after < time(NULL));
	mod_set(m, "serial_number", x509_serial(m, X509_get0_serialNumber(cert)));
	mod_sets(m, "signature_algorithm", OBJ_nid2ln(X509_get_signature_nid(cert)));
	mod_seti(m, "version", X509_get_version(cert));
	return true;
}

static const struct mod_arg args[] = {
        {"host", MT_STR, MA_REQUIRED, .doc = "Whom to ask."},
        {"port", MT_INT, MA_REQUIRED, .doc = "At which port."},
        {"ca_cert", MT_PATH, .doc = "Who has to vouch for it; without, nobody."},
        {"proxy_host", MT_STR, .doc = "Through which proxy."},
        {"proxy_port", MT_INT, .dflt = "8080", .doc = "Its port."},
        {"server_name", MT_STR, .doc = "The name to ask for, when it is not the host's."},
        {"timeout", MT_INT, .dflt = "10", .doc = "Seconds it may take."},
        {"starttls", MT_STR, .choices = "mysql", .doc = "What is spoken before TLS."},
        {"ciphers", MT_LIST, .doc = "TLS ciphers."},
        {"asn1_base64", MT_BOOL, .dflt = "false", .doc = "Values of extensions in base64."},
        {"select_crypto_backend", MT_STR, .dflt = "auto", .choices = "auto|cryptography",
         .doc = "Accepted; it is OpenSSL."},
        {NULL},
};

const struct module module_row_get_certificate = {
        .name = "get_certificate",
        .from = "community.crypto",
        .doc = "Asks a server for its certificate.",
        .args = args,
        .flags = MOD_READ_ONLY,
        .run = run,
};
