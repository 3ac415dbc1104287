/*
 * outputs - what a step leaves behind for later steps and for the reader: outputs, environment, state,
 * summary. They are files the runner names in the environment; without them the text goes to the sink,
 * readable.
 */
#ifndef GITHUB_OUTPUTS_H
#define GITHUB_OUTPUTS_H
#include "base/err.h"

struct gh;
struct val;

struct gh_files {
	struct gh *gh;
	const char *output, *env, *state, *summary; /* paths, NULL without a runner */
	size_t summary_bytes;                       /* written so far */
	bool summary_full;
};

/* The paths ENV names. ENV must outlive FILES. */
void gh_files_init(struct gh_files *files, struct gh *gh, const struct val *env);
/* All values are redacted: a registered secret leaves the step only through gh_output_secret(). */
bool gh_output(struct gh_files *files, const char *name, struct str value, struct err *err);
/* As it is. A runner hides it in logs, and withholds it from other jobs. Never printed without a runner. */
bool gh_output_secret(struct gh_files *files, const char *name, struct str value, struct err *err);
bool gh_env(struct gh_files *files, const char *name, struct str value, struct err *err);
/* For the action's post step, which sees it as STATE_name. */
bool gh_state(struct gh_files *files, const char *name, struct str value, struct err *err);
/* Markdown, appended. A step has 1 MiB: what is beyond is left out at a line's end, and the summary says so.
 */
bool gh_summary(struct gh_files *files, struct str markdown, struct err *err);
#endif
