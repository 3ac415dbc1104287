/*
 * steps - the functions of the steps' tables (steps.c), and what they share. *_start and *_done are a step's.
 */
#ifndef PROXMOX_STEPS_H
#define PROXMOX_STEPS_H
#include "proxmox/apply.h"

/* make.c: a guest of our own. */
enum step_start id_start(struct job *j);
bool id_done(struct job *j);
enum step_start clone_start(struct job *j);  /* a VM */
enum step_start create_start(struct job *j); /* a container */
bool make_done(struct job *j);
/* Two runs at once: each sees the other's guest of the same name, and both go on with the lower id. */
enum step_start twin_start(struct job *j);
bool twin_done(struct job *j);

/* ready.c: it can be worked on. */
enum step_start address_start(struct job *j); /* asks the guest agent */
bool address_done(struct job *j);
enum step_start interfaces_start(struct job *j); /* asks Proxmox VE, which sees into containers */
bool interfaces_done(struct job *j);
enum step_start ssh_start(struct job *j);
enum step_start cloud_init_start(struct job *j);
bool cloud_init_done(struct job *j);
enum step_start cloud_status_start(struct job *j);
bool cloud_status_done(struct job *j);
enum step_start keys_start(struct job *j);
bool keys_done(struct job *j);

/* An empty map of parameters, and one of them. */
struct val *job_params(struct job *j);
void job_put(struct val *map, struct job *j, const char *key, const char *value);
/* The operation's error becomes the machine's: false when there is none. */
bool job_op_failed(struct job *j);
#endif
