#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <openssl/evp.h>
#include <unistd.h>
#include "modules/digest.h"

static const char *to_hex(struct arena *a, const unsigned char *p, unsigned n)
{
	static const char digits[] = "0123456789abcdef";
	char *z = arena_alloc(a, (size_t)n * 2 + 1);
	for (unsigned i = 0; i < n; i++) {
		z[2 * i] = digits[p[i] >> 4];
		z[2 * i + 1] = digits[p[i] & 15];
	}
	return z;
}

const char *digest_str(struct arena *a, const char *algorithm, struct str data)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	const EVP_MD *type = EVP_get_digestbyname(algorithm);
	if (!type || EVP_Digest(data.p ? data.p : "", data.n, md, &n, type, NULL) != 1)
		return NULL;
	return to_hex(a, md, n);
}

const char *digest_file(struct arena *a, const char *algorithm, const char *path, struct err *err)
{
	enum { CHUNK = 1 << 16 };
	const EVP_MD *type = EVP_get_digestbyname(algorithm);
	if (!type) {
		err_set(err, ERR_USER, ORIGIN_NONE, "unknown checksum algorithm '%s'", algorithm);
		return NULL;
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_sys(err, ERR_REMOTE, "cannot open %s", path);
		return NULL;
	}
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	char *chunk = xmalloc(CHUNK);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, type, NULL) == 1;
	ssize_t got = 0;
	while (ok && ((got = read(fd, chunk, CHUNK)) > 0 || (got < 0 && errno == EINTR)))
		if (got > 0)
			ok = EVP_DigestUpdate(ctx, chunk, (size_t)got) == 1;
	if (got < 0)
		ok = err_sys(err, ERR_REMOTE, "cannot read %s", path);
	else if (ok)
		ok = EVP_DigestFinal_ex(ctx, md, &n) == 1;
	EVP_MD_CTX_free(ctx);
	free(chunk);
	close(fd);
	if (!ok)
		err_set(err, ERR_BUG, ORIGIN_NONE, "cannot compute %s of %s", algorithm, path);
	return ok ? to_hex(a, md, n) : NULL;
}
