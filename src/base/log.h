/*
 * log - the one sink everything printed goes through, and the register of secrets that it redacts.
 *
 * Redaction covers each secret, each of its lines, and their JSON, base64 and percent-encoded forms; a secret
 * shorter than 4 bytes is not registered (it would blank ordinary text) - inputs refuse such secrets.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/str.h"
#include <stdio.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_VERBOSE, LOG_DEBUG };

/* Where and how much. OUT may be NULL: silent. Called once by main.c; tests call it too. */
void log_open(FILE *out, enum log_level max);
/* Registers a secret for redaction (copied). */
void log_secret(struct str s);
/* Frees the register. */
void log_close(void);

/* One line, redacted. Only main.c, run.c and report.c speak above LOG_VERBOSE. */
void log_line(enum log_level lv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* TEXT as it is (no newline added), redacted, whatever the level. */
void log_text(struct str text);
/* IN with every registered secret replaced by ***, appended to OUT: summaries, outputs, error texts. */
void log_redact(struct str in, struct buf *out);
bool log_on(enum log_level lv);
#endif
