/*
 * commands - what the runner reads in a step's log: masks, groups, annotations, and text it must not read.
 * Outside GitHub the same calls give plain readable text. Nothing is printed here: text goes to the caller's
 * sink.
 */
#ifndef GITHUB_COMMANDS_H
#define GITHUB_COMMANDS_H
#include "base/val.h"

enum gh_level { GH_NOTICE, GH_WARNING, GH_ERROR };

/* Zero-initialise, set the first three. */
struct gh {
	bool actions; /* a runner reads the log (GITHUB_ACTIONS=true) */
	void (*sink)(void *ctx, struct str text);
	void *ctx;
	bool in_group;
	unsigned annotations[3]; /* shown so far; a runner takes 10 of each */
};

/* Whether ENV is that of a workflow step. */
bool gh_detect(const struct val *env);
/*
 * Tells the runner to hide SECRET wherever it appears: as it is, line by line, and in its JSON, base64 and
 * percent-encoded forms. The secret itself goes to the sink, so the sink must write past the redacting log,
 * and before anything else is printed. Nothing outside GitHub; nothing for lines shorter than 4 bytes.
 */
void gh_mask(struct gh *gh, struct str secret);
/* A part of the log that can be folded. Groups do not nest: a new one ends the one before. */
void gh_group(struct gh *gh, const char *title);
void gh_end_group(struct gh *gh);
/* A message tied to a line of a file of the repository. FILE may be NULL; LINE and COL 0 when not known. */
void gh_annotate(struct gh *gh, enum gh_level level, const char *title, const char *file, unsigned line,
                 unsigned col, struct str message);
/* TEXT from a machine or a tool, line by line to the sink, kept from being taken for a command. */
void gh_foreign(struct gh *gh, struct str text);
#endif
