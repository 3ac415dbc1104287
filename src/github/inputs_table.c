/*
 * The inputs. A row here is all an input needs; `tools/tables` carries it into action.yml, the reusable
 * workflow and README, and the lint fails until that was done.
 */
#include "github/inputs.h"

static const struct input rows[] = {
        {"command", INPUT_TEXT, INPUT_ADDED, "provision", NULL, NULL, 0, 0,
         "What to do: provision, plan, configure, verify, destroy, onboard, bootstrap, or run ROLE:VERB."},

        {"app_name", INPUT_NAME, 0, "app", NULL, NULL, 0, 0,
         "The application. Machines are called app_name-environment-key."},
        {"environment", INPUT_NAME, 0, "dev", NULL, NULL, 0, 0,
         "The environment: dev, staging, prod or any other name."},
        {"resource_type", INPUT_CHOICE, 0, "vm", NULL, "vm lxc", 0, 0,
         "Virtual machines (vm) or containers (lxc)."},
        {"instances", INPUT_JSON, 0, "", NULL, NULL, 0, 0,
         "The machines as a JSON object: key to {\"ip_address\": …}, each with its own cpu_cores, ram_mb, "
         "disk_gb "
         "where wanted. Empty: one machine at vm_target_ip."},
        {"vm_target_ip", INPUT_IP, 0, "", NULL, NULL, 0, 0,
         "Address of the only machine, when instances is empty."},
        {"cpu_cores", INPUT_INT, 0, "2", NULL, NULL, 1, 512, "Processor cores of each machine."},
        {"ram_mb", INPUT_INT, 0, "4096", NULL, NULL, 128, 16777216, "Memory of each machine in MiB."},
        {"disk_gb", INPUT_SIZE, 0, "20G", NULL, NULL, 1, 131072,
         "Disk of each machine: 40, 40G or 1T. Disks only grow."},

        {"vlan_tag", INPUT_INT, 0, "20", NULL, NULL, 1, 4094, "VLAN of the machines' network."},
        {"subnet", INPUT_SUBNET, INPUT_ADDED, "", NULL, NULL, 0, 0,
         "Network of the machines. Empty: 192.168.VLAN.0/24 where vlan_tag fits, as it always was."},
        {"gateway", INPUT_IP, INPUT_ADDED, "", NULL, NULL, 0, 0, "Empty: the first address of the subnet."},
        {"nameserver", INPUT_LIST, INPUT_ADDED, "", NULL, NULL, 0, 0,
         "Addresses of name servers. Empty: those of the Proxmox VE node."},
        {"search_domain", INPUT_TEXT, INPUT_ADDED, "", NULL, NULL, 0, 0,
         "DNS search domain. Empty: that of the Proxmox VE node."},
        {"bridge", INPUT_TEXT, INPUT_ADDED, "vmbr0", NULL, NULL, 0, 0,
         "Bridge of the Proxmox VE nodes the machines hang on."},

        {"proxmox_node", INPUT_LIST, 0, "", "pmx", NULL, 0, 0,
         "Proxmox VE nodes to place machines on, spread over all that are named. Empty: every node that is "
         "online."},
        {"proxmox_storage", INPUT_TEXT, 0, "", "zfs-vm", NULL, 0, 0,
         "Storage of the machines' disks. Empty: where the template's disk is."},
        {"vm_template", INPUT_TEXT, 0, "", "ubuntu-2404-template", NULL, 0, 0,
         "Name or id of the template to clone. Empty: the only template there is."},
        {"lxc_template", INPUT_TEXT, 0, "", "local:vztmpl/ubuntu-22.04-standard_22.04-1_amd64.tar.zst", NULL,
         0, 0, "Volume of the container template. Empty: the only one there is."},
        {"lxc_nesting", INPUT_BOOL, 0, "false", NULL, NULL, 0, 0,
         "Containers may run containers (Docker) themselves."},
        {"lxc_unprivileged", INPUT_BOOL, 0, "true", NULL, NULL, 0, 0,
         "Containers have user ids of their own."},
        {"pool", INPUT_TEXT, INPUT_ADDED, "", NULL, NULL, 0, 0, "Proxmox VE pool that new machines join."},

        {"skip_terraform", INPUT_BOOL, 0, "false", NULL, NULL, 0, 0,
         "Make no machines, configure those that are there. (Named after the tool that once made them.)"},
        {"allow_destroy", INPUT_BOOL, INPUT_ADDED, "false", NULL, NULL, 0, 0,
         "Machines of this app and environment that instances no longer names are taken out and destroyed."},
        {"confirm_destroy", INPUT_BOOL, INPUT_ADDED, "false", NULL, NULL, 0, 0,
         "The command destroy does nothing without it."},

        {"ansible_roles", INPUT_LIST, 0, "", NULL, NULL, 0, 0,
         "Roles to apply, in this order, after base_setup (and ldap-config where FreeIPA credentials are)."},
        {"ansible_extra_vars", INPUT_TEXT, 0, "", NULL, NULL, 0, 0,
         "More variables for the roles: a JSON object or name=value pairs."},
        {"roles_path", INPUT_TEXT, INPUT_ADDED, "roles:ansible/roles", NULL, NULL, 0, 0,
         "Where the workspace keeps roles of its own, separated by colons. They win over the shipped ones."},

        {"ssh_user", INPUT_TEXT, INPUT_ADDED, "deploy", NULL, NULL, 0, 0,
         "User made on new machines and logged in as."},
        {"ssh_port", INPUT_INT, INPUT_ADDED, "22", NULL, NULL, 1, 65535,
         "Port of the machines' SSH service."},
        {"ssh_jump_host", INPUT_TEXT, INPUT_ADDED, "", NULL, NULL, 0, 0,
         "[user@]host[:port] to go through to the machines."},
        {"known_hosts", INPUT_TEXT, INPUT_ADDED, "", NULL, NULL, 0, 0,
         "Host keys to trust, as known_hosts lines, where the guest agent cannot tell them."},
        {"connect_timeout", INPUT_INT, INPUT_ADDED, "300", NULL, NULL, 1, 86400,
         "Seconds a machine may take from its start until SSH answers."},
        {"ca_cert", INPUT_TEXT, INPUT_ADDED, "", NULL, NULL, 0, 0,
         "CA certificate of the Proxmox VE API: PEM text, or a file of the workspace. Empty: the public "
         "ones."},

        {"doppler_token", INPUT_TEXT, INPUT_ADDED | INPUT_SECRET, "", NULL, NULL, 0, 0,
         "Doppler token. Empty: DOPPLER_TOKEN of the environment or of secrets."},
        {"doppler_identity", INPUT_TEXT, INPUT_ADDED, "", NULL, NULL, 0, 0,
         "Doppler service account identity, for a login by the job's OIDC token instead of a stored token."},
        {"doppler_project", INPUT_TEXT, INPUT_ADDED, "", NULL, NULL, 0, 0,
         "Doppler project. Empty: DOPPLER_TARGET_PROJECT, or what the token belongs to."},
        {"doppler_config", INPUT_TEXT, INPUT_ADDED, "", NULL, NULL, 0, 0,
         "Doppler config. Empty: DOPPLER_TARGET_CONFIG, or what the token belongs to."},
        {"secrets", INPUT_JSON, INPUT_ADDED | INPUT_SECRET | INPUT_NO_FLOW, "", NULL, NULL, 0, 0,
         "Names and values for the run and its roles as a JSON object; toJSON(secrets) gives all the "
         "caller's secrets."},

        {"skip_octopus", INPUT_BOOL, 0, "false", NULL, NULL, 0, 0,
         "Do not register the machines with Octopus Deploy."},
        {"octopus_environment", INPUT_TEXT, 0, "Development", NULL, NULL, 0, 0,
         "Environment in Octopus Deploy."},
        {"octopus_roles", INPUT_LIST, 0, "", NULL, NULL, 0, 0, "Roles in Octopus Deploy."},
};

const struct input *input_rows(size_t *ret_n)
{
	*ret_n = sizeof(rows) / sizeof(rows[0]);
	return rows;
}
