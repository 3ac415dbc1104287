/*
 * report - the one place that shows errors to a person.
 */
#ifndef REPORT_H
#define REPORT_H
#include "base/err.h"

/*
 * Prints ERR through the log: where it happened (file:line:column, the line, a caret), what surrounds it,
 * what to do. On GitHub (GITHUB_ACTIONS=true) also as an annotation. SS may be NULL.
 */
void report_err(const struct sources *ss, const struct err *err);
void report_errs(const struct sources *ss, const struct errs *errs);
/* As report_err, as a warning, which changes no exit code. */
void report_warn(const struct sources *ss, struct origin at, const char *msg);
/* The exit code ERR stands for. */
int report_exit_code(const struct err *err);
#endif
