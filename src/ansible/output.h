/*
 * output - a run as people and programs read it: ansible-playbook's own lines, or one JSON document.
 */
#ifndef ANSIBLE_OUTPUT_H
#define ANSIBLE_OUTPUT_H
#include "ansible/engine.h"

struct output {
	struct engine_output ops; /* give &o->ops and o to the engine */
	/* Where text goes, and where warnings go. */
	void (*write)(void *ctx, struct str text);
	void (*complain)(void *ctx, struct str text);
	void *ctx;
	struct sources *sources;
	int verbosity;
	bool diff, color, custom_stats;
	/* Beside what is shown: each task's result on each host as one line of JSON; NULL: not wanted. */
	void (*write_result)(void *ctx, struct str line);
	void *result_ctx;
	/* private */
	struct arena *a;
	struct buf title;               /* of the task under way, with its role */
	struct val *json, *play, *task; /* JSON under way */
};

/* O stays where it is until A is freed. */
void output_text(struct output *o, struct arena *a);
void output_json(struct output *o, struct arena *a);
/* The recap (text), or the whole document (JSON). */
void output_end(struct output *o, struct engine *e);
/* BEFORE and AFTER compared line by line, as difflib.unified_diff writes it. */
void output_diff(struct str before, struct str after, struct str before_name, struct str after_name,
                 struct buf *out);
#endif
