/*
 * report - the one place that shows errors to a person.
 */
#ifndef REPORT_H
#define REPORT_H
#include "base/err.h"

struct gh;

/*
 * Prints ERR through the log: where it happened (file:line:column, the line, a caret), what surrounds it,
 * what to do. Where a runner reads the log (GH; NULL: none) also as an annotation. SS may be NULL.
 */
void report_err(struct gh *gh, const struct sources *ss, const struct err *err);
void report_errs(struct gh *gh, const struct sources *ss, const struct errs *errs);
/* As report_err, as a warning, which changes no exit code. */
void report_warn(struct gh *gh, const struct sources *ss, struct origin at, const char *msg);
/* Sinks for struct gh: through the redacting log; and past it, for masks alone. */
void report_text(void *ctx, struct str text);
void report_raw(void *ctx, struct str text);
/* The exit code ERR stands for. */
int report_exit_code(const struct err *err);
#endif
