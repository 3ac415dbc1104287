/*
 * crypt - passwords of /etc/shadow: SHA-crypt ($5$, $6$), bcrypt ($2b$) and MD5 ($1$).
 */
#ifndef JINJA_CRYPT_H
#define JINJA_CRYPT_H
#include "base/err.h"
#include "base/str.h"

enum { CRYPT_ROUNDS = 5000 }; /* where none are named */

struct crypt_how {
	struct str scheme; /* sha512, sha256, bcrypt (or blowfish) or md5, with or without "_crypt" */
	struct str salt;   /* empty: a fresh one */
	struct str ident;  /* of bcrypt: 2b (where empty), 2y, 2a */
	int64_t rounds;    /* 0: the usual ones */
};
/* PASSWORD hashed as HOW says, as /etc/shadow has it. */
bool crypt_password(struct arena *a, struct str password, const struct crypt_how *how, struct str *ret,
                    struct err *err);
/* A fresh salt for SCHEME. */
bool crypt_salt(struct arena *a, struct str scheme, struct str *ret, struct err *err);
#endif
