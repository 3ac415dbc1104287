/*
 * wire - frames in and out of a pair of descriptors, on the agent's side. Writing never blocks for good: a
 * link that stays full is given up when the agent is told to (SIGUSR1 by its successor, SIGTERM).
 */
#ifndef AGENT_WIRE_H
#define AGENT_WIRE_H
#include "agent/proto.h"

struct wire_frame {
	struct wire_frame *next;
	enum proto_type type;
	uint32_t id;
	struct str payload; /* NUL-terminated, owned by the frame */
};

struct wire {
	int in, out, signals; /* signals: a signalfd, or -1 */
	struct buf raw;       /* bytes not yet whole frames */
	struct buf pending;   /* bytes not yet written */
	struct wire_frame *first, **last;
	bool eof;          /* nothing more will come */
	bool dead;         /* nothing more can be written */
	bool told_to_stop; /* by a signal */
	bool cancelled;    /* a CANCEL frame is among what has come */
	struct err err;    /* a protocol error: nothing more is read */
};

void wire_open(struct wire *w, int in, int out, int signals);
void wire_close(struct wire *w);
/* Reads what is there; with BLOCK waits until something came or no more can come. */
void wire_fill(struct wire *w, bool block);
/* Takes the first frame of TYPE (0: of any) and ID (0: any) off the queue; NULL when there is none.
 * wire_frame_free(). */
struct wire_frame *wire_take(struct wire *w, enum proto_type type, uint32_t id);
/* As wire_take, but waits for it; NULL when it can no longer come. */
struct wire_frame *wire_wait(struct wire *w, enum proto_type type, uint32_t id);
/* Waits until something moved on either wire, at most MS. */
void wire_wait_any(struct wire *a, struct wire *b, int ms);
void wire_frame_free(struct wire_frame *f);
/* A task's result as JSON, appended to OUT; one that no frame can hold becomes a failed one that says so. */
void wire_result_json(const struct val *result, struct buf *out);
/* Queues a frame and writes what fits. DROPPABLE ones are left out while the link is full. */
void wire_send(struct wire *w, enum proto_type type, uint32_t id, struct str payload, bool droppable);
void wire_send_val(struct wire *w, enum proto_type type, uint32_t id, const struct val *v, bool droppable);
/* Writes everything; false when the link is dead or the agent was told to stop. */
bool wire_flush(struct wire *w);
/* DATA as BLOB frames. */
void wire_send_blob(struct wire *w, uint32_t id, const unsigned char sha[32], struct str data);
/* Asks for content by hex sha256 and collects it; checked against the sum. */
bool wire_need(struct wire *w, uint32_t id, struct str sha256, struct buf *out, struct err *err);
#endif
