/*
 * spool - what an agent leaves for its successor: one locked file per session that names its process and the
 * last task begun, and the results nobody fetched. In a directory only this user can enter.
 */
#ifndef AGENT_SPOOL_H
#define AGENT_SPOOL_H
#include <sys/types.h>
#include "base/err.h"

struct spool {
	char dir[256];
	char session[33];
	int fd; /* the session's file, locked; -1 when there is no spool */
};

/* Makes a new session in DIR (NULL: the user's own place). Without a usable directory there is no adoption,
 * which is not an error. Forgets what others left behind a day ago. */
void spool_open(struct spool *s, const char *dir);
/* Says that task ID begins. */
void spool_begin(struct spool *s, uint32_t id);
void spool_keep(struct spool *s, uint32_t id, struct str result);
/* REMOVE: also the session's file (a normal end). */
void spool_close(struct spool *s, bool remove);

enum spool_found { SPOOL_RESULT, SPOOL_BUSY, SPOOL_NEVER_BEGAN, SPOOL_DIED, SPOOL_UNKNOWN };
/* Looks for the result of task ID of another SESSION, and takes it. BUSY: its agent still lives (it was told
 * to leave its results); ask again. */
enum spool_found spool_fetch(struct spool *s, struct str session, uint32_t id, struct buf *ret);
/* The process of another agent whose controller is gone and that is still at its last task; 0: there is none.
 */
pid_t spool_orphan(const struct spool *s);
#endif
