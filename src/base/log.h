/*
 * log - the one sink everything printed goes through, and the register of secrets that it redacts.
 *
 * Redaction covers each secret, each of its lines, a password within a URL and the texts within a JSON
 * secret, however they are written: as JSON, Python, YAML, a shell, a URL, HTML or base64 have it. A secret
 * shorter than 4 bytes is not registered (it would blank ordinary text) - the action refuses such secrets.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/str.h"
#include <stdio.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_VERBOSE, LOG_DEBUG };

/* Where and how much. OUT may be NULL: silent. Called once by main.c; tests call it too. */
void log_open(FILE *out, enum log_level max);
/* Errors and warnings go to OUT from now on: a program whose output is data keeps them apart. log_open() lets
 * them go where everything goes. */
void log_complain_to(FILE *out);
/* Registers a secret for redaction (copied). */
void log_secret(struct str s);
/* Registers S, which was made of a secret, unless it holds one as it is, or is too short to give one away. */
void log_secret_derived(struct str s);
/* Frees the register. */
void log_close(void);

/* One line, redacted. Only main.c, run.c and report.c speak above LOG_VERBOSE. */
void log_line(enum log_level lv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* TEXT as it is (no newline added), redacted, whatever the level. */
void log_text(struct str text);
/* As log_text, an error or a warning. */
void log_complain(struct str text);
/* IN with every registered secret replaced by ***, appended to OUT: summaries, outputs, error texts. Whether
 * there was one. */
bool log_redact(struct str in, struct buf *out);
bool log_on(enum log_level lv);
#endif
