/*
 * What the errors of Proxmox VE mean. There is no 404 and no 409: the text decides, the code hardly says
 * anything.
 */
#include "proxmox/op.h"

#define FREE_SPACE "free some space on that storage, or choose another: input proxmox_storage"
#define UNLOCK                                                                                           \
	"if no task is active on it, unlock it on its node: qm unlock VMID (of a container: pct unlock " \
	"VMID)"

static const struct rule rules[] = {
        {"config file already exists", RULE_NEW_ID, 0, NULL},
        {"already exists on node", RULE_NEW_ID, 0, NULL},
        {"File exists", RULE_NEW_ID, 0, NULL},
        /* Locks: the call was refused before it changed anything. */
        {"can't lock file '/var/lock/qemu-server/", RULE_RETRY, 120, UNLOCK},
        {"pve-config-", RULE_RETRY, 120, UNLOCK},
        {"can't lock file '/var/lock/pve-manager/pve-storage-", RULE_RETRY, 300, "the storage is busy"},
        {"got lock request timeout", RULE_RETRY, 300, "the storage is busy"},
        {"failed: got timeout", RULE_RETRY, 120, "the storage is busy"},
        {"is locked (", RULE_RETRY, 120, UNLOCK},
        {"got no worker upid", RULE_LOST, 60, NULL},
        {"no quorum", RULE_RETRY, 60, "the Proxmox VE cluster has lost its quorum: see `pvecm status`"},
        {"not quorate", RULE_RETRY, 60, "the Proxmox VE cluster has lost its quorum: see `pvecm status`"},
        {"no such task", RULE_RETRY, 10, NULL},
        {"already running", RULE_FINE, 0, NULL},
        /* Hints for what only a person can mend. */
        {"hostname lookup", RULE_FAIL, 0, "is the node's name right? see the input proxmox_node"},
        {"can't clone VM to node", RULE_FAIL, 0,
         "the template lies on local storage: put a copy of it on that node, or use shared storage"},
        {"can't clone to non-shared storage", RULE_FAIL, 0,
         "choose a shared storage (input proxmox_storage), or the template's own node (input proxmox_node)"},
        {"does not support vm images", RULE_FAIL, 0, "choose another storage: input proxmox_storage"},
        {"does not support container directories", RULE_FAIL, 0,
         "choose another storage: input proxmox_storage"},
        {"not enough space", RULE_FAIL, 0, FREE_SPACE},
        {"No space left on device", RULE_FAIL, 0, FREE_SPACE},
        {"out of space", RULE_FAIL, 0, FREE_SPACE},
        {"insufficient free space", RULE_FAIL, 0, FREE_SPACE},
        {"free space in thin pool", RULE_FAIL, 0, FREE_SPACE},
        {"quota exceeded", RULE_FAIL, 0, FREE_SPACE},
        {".conf' does not exist", RULE_GONE, 0,
         "it was removed, or moved to another node, meanwhile: run again"},
        {"pool '", RULE_FAIL, 0, "check the input pool: pools are made in Datacenter > Permissions > Pools"},
        {"Permission check failed", RULE_FAIL, 0,
         "give the API token that privilege (Datacenter > Permissions)"},
        {"QEMU guest agent is not running", RULE_FAIL, 0, NULL},
        {"quit/powerdown failed", RULE_FAIL, 0,
         "it did not shut down: look at its console, shut it down by hand, and run again"},
        {"protection mode enabled", RULE_FAIL, 0, "remove the guest's protection if it is really to go"},
        {NULL, RULE_FAIL, 0, NULL},
};

/* Where the text matches nothing. */
static const struct {
	int status;
	struct rule rule;
} codes[] = {
        {401,
         {NULL, RULE_FAIL, 0, "check PROXMOX_API_TOKEN_ID (user@realm!name) and PROXMOX_API_TOKEN_SECRET"}},
        {403, {NULL, RULE_FAIL, 0, "give the API token that privilege (Datacenter > Permissions)"}},
        {404, {NULL, RULE_FAIL, 0, "is PROXMOX_API_URL a Proxmox VE API? it has no such answer"}},
        {502, {NULL, RULE_LOST, 120, NULL}},
        {503, {NULL, RULE_LOST, 120, NULL}},
        {504, {NULL, RULE_LOST, 120, NULL}},
        /* pveproxy could not reach the node or gave up after 30 s while the work goes on. */
        {595, {NULL, RULE_LOST, 120, NULL}},
        {596, {NULL, RULE_LOST, 120, NULL}},
        {599, {NULL, RULE_LOST, 120, NULL}},
};

const struct rule *rule_for(int status, const char *text)
{
	size_t i;

	for (i = 0; rules[i].text; i++) {
		if (strstr(text, rules[i].text))
			return &rules[i];
	}
	for (size_t c = 0; c < sizeof(codes) / sizeof(*codes); c++) {
		if (codes[c].status == status)
			return &codes[c].rule;
	}
	return &rules[i];
}
