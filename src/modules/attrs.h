/*
 * attrs - owner, group and mode of files, in words and in results.
 */
#ifndef MODULES_ATTRS_H
#define MODULES_ATTRS_H
#include "modules/module.h"

/* MODE (an int, octal text, or symbolic as chmod takes it) applied to a file that now has CURRENT.
 * False with *WHY (static or in A) when it makes no sense. */
bool mode_parse(struct arena *a, const struct val *mode, mode_t current, bool is_dir, mode_t umask,
                mode_t *ret, const char **why);
/* "0644", "01777": as Ansible prints modes. */
const char *mode_text(struct arena *a, mode_t mode);
mode_t current_umask(void);
/* What stat says of a file, for stat and find to return in Ansible's order: mode, isdir ...; uid ... ctime;
 * wusr ... isgid; pw_name; gr_name. */
void stat_kind(struct mod_ctx *m, struct val *s, mode_t mode);
void stat_numbers(struct mod_ctx *m, struct val *s, const struct stat *st);
void stat_bits(struct val *s, mode_t mode);
void stat_user(struct mod_ctx *m, struct val *s, uid_t uid);
void stat_group(struct mod_ctx *m, struct val *s, gid_t gid);
/* uid gid owner group mode state size of PATH into RESULT; only state: absent when it does not exist. */
void path_info(struct mod_ctx *m, const char *path);
/* Owner, group and mode of PATH, one at a time; each says whether it changed (or would). False when failed.
 */
bool set_owner(struct mod_ctx *m, const char *path, const struct stat *st, const char *owner, bool *changed);
bool set_group(struct mod_ctx *m, const char *path, const struct stat *st, const char *group, bool *changed);
bool set_mode(struct mod_ctx *m, const char *path, const struct stat *st, const struct val *mode,
              bool *changed);
/* As mod_file_args, of PATH itself: a link there is not followed. */
bool path_args(struct mod_ctx *m, const char *path);
/* PATH without symbolic links, as far as it exists. */
const char *path_real(struct arena *a, const char *path);
#endif
