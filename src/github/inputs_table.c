/*
 * The inputs. A row here is all an input needs; `tools/tables` carries it into action.yml, the reusable
 * workflow and README, and the lint fails until that was done.
 */
#include "github/inputs.h"
#include <stdlib.h>

static const struct input rows[] = {
        {"command", INPUT_TEXT, INPUT_ADDED, "provision",
         "What to do: provision, plan, configure, verify, destroy, onboard, bootstrap, or run ROLE:VERB.",
         NULL, 0, 0},

        {"app_name", INPUT_NAME, INPUT_MODEL, "app",
         "The application. Machines are called app_name-environment-key.", NULL, 0, 0},
        {"environment", INPUT_NAME, INPUT_MODEL, "dev",
         "The environment: dev, staging, prod or any other name.", NULL, 0, 0},
        {"resource_type", INPUT_CHOICE, INPUT_MODEL, "vm",
         "What the machines are: vm, virtual machines, or lxc, containers.", NULL, 0, 0},
        {"instances", INPUT_JSON, INPUT_MODEL, "",
         "The machines as a JSON object: key to {\"ip_address\": …}, each with its own cpu_cores, ram_mb, "
         "disk_gb where wanted. Empty: one machine at vm_target_ip.",
         NULL, 0, 0},
        {"vm_target_ip", INPUT_IP, INPUT_MODEL, "", "Address of the only machine, when instances is empty.",
         NULL, 0, 0},
        {"cpu_cores", INPUT_INT, INPUT_MODEL, "2", "Processor cores of each machine.", NULL, 0, 0},
        {"ram_mb", INPUT_INT, INPUT_MODEL, "4096", "Memory of each machine in MiB.", NULL, 0, 0},
        {"disk_gb", INPUT_SIZE, INPUT_MODEL, "20G", "Disk of each machine: 40, 40G or 1T. Disks only grow.",
         NULL, 0, 0},

        {"vlan_tag", INPUT_INT, INPUT_MODEL, "20", "VLAN of the machines' network.", NULL, 0, 0},
        {"subnet", INPUT_SUBNET, INPUT_ADDED | INPUT_MODEL, "",
         "Network of the machines, ADDRESS/BITS. Empty: 192.168.VLAN.0/24.", NULL, 0, 0},
        {"gateway", INPUT_IP, INPUT_ADDED | INPUT_MODEL, "",
         "The network's gateway. Empty: the first address of the subnet.", NULL, 0, 0},
        {"nameserver", INPUT_LIST, INPUT_ADDED | INPUT_MODEL, "",
         "Addresses of name servers. Empty: those of the template.", NULL, 0, 0},
        {"search_domain", INPUT_TEXT, INPUT_ADDED | INPUT_MODEL, "",
         "DNS search domain. Empty: that of the template.", NULL, 0, 0},
        {"bridge", INPUT_TEXT, INPUT_ADDED | INPUT_MODEL, "vmbr0",
         "Bridge of the Proxmox VE nodes the machines hang on.", NULL, 0, 0},

        {"proxmox_node", INPUT_LIST, 0, "",
         "Proxmox VE nodes to place machines on, spread over all that are named. Empty: every node that is "
         "online.",
         "pmx", 0, 0},
        {"proxmox_storage", INPUT_NAME, 0, "",
         "Storage of the machines' disks. Empty: where the template's disk is; of containers the only one "
         "for them.",
         "zfs-vm", 0, 0},
        {"vm_template", INPUT_NAME, 0, "",
         "Name or id of the template to clone VMs from. Empty: the only template there is.",
         "ubuntu-2404-template", 0, 0},
        {"lxc_template", INPUT_TEXT, 0, "",
         "Archive to make containers from, STORAGE:vztmpl/FILE. Empty: the only one there is.",
         "local:vztmpl/ubuntu-22.04-standard_22.04-1_amd64.tar.zst", 0, 0},
        {"lxc_nesting", INPUT_BOOL, 0, "false",
         "New containers may nest: systemd's sandboxes in them, Docker. Not with lxc_unprivileged false.",
         NULL, 0, 0},
        {"lxc_unprivileged", INPUT_BOOL, 0, "true",
         "New containers are unprivileged: their root is nobody on the node.", NULL, 0, 0},
        {"pool", INPUT_NAME, INPUT_ADDED, "", "Proxmox VE pool that new machines join.", NULL, 0, 0},

        {"skip_terraform", INPUT_BOOL, 0, "false",
         "Make no machines, configure those that are there. (Named after the tool that once made them.)",
         NULL, 0, 0},
        {"allow_restart", INPUT_BOOL, INPUT_ADDED, "true",
         "Machines whose cores or memory change are restarted, one at a time, each proved well before the "
         "next; "
         "the leader last. false: the change waits for their next restart.",
         NULL, 0, 0},
        {"allow_destroy", INPUT_BOOL, INPUT_ADDED, "false",
         "Machines of this app and environment that instances no longer names are taken out and destroyed.",
         NULL, 0, 0},
        {"confirm_destroy", INPUT_BOOL, INPUT_ADDED, "false", "The command destroy does nothing without it.",
         NULL, 0, 0},

        {"ansible_roles", INPUT_LIST, 0, "",
         "Roles to apply, in this order, after base_setup (and ldap-config where FreeIPA credentials are).",
         NULL, 0, 0},
        {"ansible_extra_vars", INPUT_TEXT, 0, "",
         "More variables for the roles: a JSON object or name=value pairs.", NULL, 0, 0},
        {"roles_path", INPUT_TEXT, INPUT_ADDED, "roles:ansible/roles",
         "Where the workspace keeps roles of its own, separated by colons. They win over the shipped ones.",
         NULL, 0, 0},

        {"ssh_user", INPUT_NAME, INPUT_ADDED, "deploy",
         "User made on new machines and logged in as. Containers: root, unless another than deploy is named.",
         NULL, 0, 0},
        {"ssh_port", INPUT_INT, INPUT_ADDED, "22", "Port of the machines' SSH service.", NULL, 1, 65535},
        {"ssh_jump_host", INPUT_TEXT, INPUT_ADDED, "", "[user@]host[:port] to go through to the machines.",
         NULL, 0, 0},
        {"known_hosts", INPUT_TEXT, INPUT_ADDED, "",
         "Host keys to trust, as known_hosts lines, where the guest agent cannot tell them. Without: the key "
         "a "
         "machine shows first is kept in its description and compared ever after.",
         NULL, 0, 0},
        {"connect_timeout", INPUT_INT, INPUT_ADDED, "300",
         "Seconds a machine may take until SSH answers: from its start, and when its connection was lost.",
         NULL, 1, 86400},
        {"ca_cert", INPUT_TEXT, INPUT_ADDED, "",
         "CA certificate of the Proxmox VE API: PEM text, or a file of the workspace. Empty: the public "
         "ones.",
         NULL, 0, 0},

        {"doppler_token", INPUT_TEXT, INPUT_ADDED | INPUT_SECRET | INPUT_NO_FLOW, "",
         "Doppler token. Empty: DOPPLER_TOKEN of the environment or of secrets.", NULL, 0, 0},
        {"doppler_identity", INPUT_TEXT, INPUT_ADDED, "",
         "Doppler service account identity, for a login by the job's OIDC token instead of a stored token.",
         NULL, 0, 0},
        {"doppler_project", INPUT_TEXT, INPUT_ADDED, "",
         "Doppler project. Empty: DOPPLER_TARGET_PROJECT, or what the token belongs to.", NULL, 0, 0},
        {"doppler_config", INPUT_TEXT, INPUT_ADDED, "",
         "Doppler config. Empty: DOPPLER_TARGET_CONFIG, or what the token belongs to.", NULL, 0, 0},
        {"secrets", INPUT_JSON, INPUT_ADDED | INPUT_SECRET | INPUT_NO_FLOW, "",
         "Names and values for the run and its roles as a JSON object; toJSON(secrets) gives all the "
         "caller's secrets.",
         NULL, 0, 0},

        {"skip_octopus", INPUT_BOOL, 0, "false",
         "Taken for callers of the chain this replaces: machines are never registered with Octopus Deploy.",
         NULL, 0, 0},
        {"octopus_environment", INPUT_TEXT, 0, "Development", "Taken and not used, as skip_octopus says.",
         NULL, 0, 0},
        {"octopus_roles", INPUT_LIST, 0, "", "Taken and not used, as skip_octopus says.", NULL, 0, 0},
};

const struct input *input_rows(size_t *ret_n)
{
	*ret_n = sizeof(rows) / sizeof(rows[0]);
	return rows;
}

const char *input_type_name(enum input_type type)
{
	switch (type) {
	case INPUT_TEXT: return "text";
	case INPUT_NAME: return "name";
	case INPUT_BOOL: return "boolean";
	case INPUT_INT: return "number";
	case INPUT_CHOICE: return "choice";
	case INPUT_SIZE: return "size";
	case INPUT_IP: return "address";
	case INPUT_SUBNET: return "network";
	case INPUT_LIST: return "list";
	case INPUT_JSON: return "JSON";
	}
	abort();
}
