/*
 * proto - the frames between controller and agent, and what the engine asks of a link to a host.
 *
 * A frame: u32 length (big endian, of what follows), u8 type, u32 id (big endian), payload. Payloads are
 * JSON (JSON_STYLE_BYTES) except BLOB's, which is a 32-byte sha256 followed by raw bytes. Unknown types and
 * lengths over PROTO_FRAME_MAX are protocol errors. Ids are chosen by the controller, rising from 1; the
 * agent answers with the request's id. Several tasks may be outstanding on a link; the agent runs them in
 * order.
 */
#ifndef AGENT_PROTO_H
#define AGENT_PROTO_H
#include "base/val.h"

#define PROTO_VERSION 1
#define PROTO_FRAME_MAX ((uint32_t)64 << 20)
#define PROTO_PAYLOAD_MAX (PROTO_FRAME_MAX - 5) /* the type and the id count as well */
/* Longer content travels as several BLOB frames, in order; an empty one ends it. */
#define PROTO_BLOB_CHUNK ((size_t)1 << 20)

enum proto_type {
	PROTO_HELLO =
	        1,      /* agent: {version, build, arch, pid, uid, session, capabilities:[..]}; first frame */
	PROTO_TASK = 2, /* controller: struct task_req as a map, see below */
	PROTO_NEED = 3, /* agent: {sha256}: send me this content */
	PROTO_BLOB = 4, /* controller */
	PROTO_PROGRESS = 5, /* agent: {line, stderr}: a line of a long-running child */
	PROTO_RESULT = 6,   /* agent: the module's result map */
	PROTO_CANCEL =
	        7, /* controller: start nothing new; finish the current child, then end. Also the goodbye of a
	            * normal end: without it the agent keeps its last results for an ADOPT */
	PROTO_ADOPT = 8, /* controller, after a reconnect: {session, id}: give me that task's result */
	PROTO_ERROR = 9, /* agent: {msg}: the protocol was broken */
	PROTO_LOST = 10, /* agent, to ADOPT: {started}: false: the task never began, true: it began and its
	                  * agent died, null: nothing is known of that session */
};

/*
 * A PROTO_TASK payload:
 *   module: short name; args: map; check, diff: bools; user: name to run as ("" = the agent's own);
 *   env: map of strings; tmp: remote temporary directory or absent; no_log: bool; verbosity: int
 *   (what is false, "", {} or 0 may be left out);
 *   facts_subset etc. are args of setup; timeout: seconds, 0 none; background: bool, answer once it has
 * begun; content: {sha256, name} of what the controller would send when asked (NEED): the file of copy,
 * template, script and unarchive, with "name" its base name. The args are the user's own, with "content"
 * taken out and "src" left in for the messages; template is sent as copy. A mode "preserve" is the
 * controller's to resolve unless remote_src. A PROTO_RESULT payload is what Ansible would register: changed,
 * failed, msg, rc, stdout, diff, ansible_facts, ...
 */

struct proto_frame {
	enum proto_type type;
	uint32_t id;
	struct str payload; /* valid until the decoder is fed again */
};

/* The payload must not be larger than PROTO_PAYLOAD_MAX. */
void proto_encode(struct buf *out, enum proto_type type, uint32_t id, struct str payload);
/* Takes one frame off the front of IN when it is whole: 1 with *RET, 0 need more, -1 broken (err set).
 * The payload points into IN: consume proto_frame_size(ret) bytes when done with it. */
int proto_decode(const struct buf *in, struct proto_frame *ret, struct err *err);
size_t proto_frame_size(const struct proto_frame *f);

/* ---- the engine's side ----------------------------------------------------------------------------------
 */

struct link;

/* One task under way on one host. Owned by the engine; must stay put until done or forgotten. */
struct link_req {
	struct val *task; /* PROTO_TASK payload */
	bool become;      /* to the privileged agent (root through sudo -n), else the login user's */
	bool read_only;   /* may be repeated when the link was lost and the task cannot be adopted */
	/* Content for PROTO_NEED by its lower-case hex sha256; false when unknown. */
	bool (*content)(void *ctx, struct str sha256, struct str *ret);
	void (*progress)(void *ctx, struct str line, bool is_stderr); /* may be NULL */
	void *ctx;
	/* Results: */
	bool done;
	struct arena *a;       /* where *result is put */
	struct val *result;    /* NULL when err is set */
	struct err err;        /* ERR_UNREACHABLE: no connection; ERR_REMOTE: the agent broke */
	struct link_req *next; /* the link's own */
};

/* A host as the engine sees it: implemented over SSH, a socket pair (-c local) and by fakes in tests. */
struct link_ops {
	/* Takes the request; connects, deploys and starts the agent first when that has not happened yet.
	 * Never blocks, never fails at once: failures come as req->done with req->err. */
	void (*submit)(struct link *l, struct link_req *req);
	/* Drops the connection so that the next submit makes a new one (meta: reset_connection). */
	void (*reset)(struct link *l);
};

struct link {
	const struct link_ops *ops;
};

/* How the engine waits: runs the one loop until something happened or TIMEOUT_MS passed (-1: no limit).
 * False when the run is cancelled (err ERR_CANCELLED) or broke. */
struct link_pump {
	bool (*step)(void *ctx, int timeout_ms, struct err *err);
	void *ctx;
};
#endif
