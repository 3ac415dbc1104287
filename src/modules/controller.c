/* The modules that never leave the controller: rows only, so that their arguments are checked like all
 * others. */
#include "modules/spec.h"

#define NO_ARGS      \
	{            \
		NULL \
	}

/* A row: VAR is the descriptor's name after module_row_. */
#define ROW(var, word, text, spec, more, ...)                                                 \
	const struct module module_row_##var = {.name = word,                                 \
	                                        .from = "ansible.builtin",                    \
	                                        .doc = text,                                  \
	                                        .args = spec,                                 \
	                                        .flags = MOD_CONTROLLER | MOD_CHECK | (more), \
	                                        __VA_ARGS__}

static const struct mod_arg none[] = {NO_ARGS};

static const struct mod_arg add_host_args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "hostname|host", .doc = "The host's name."},
        {"groups", MT_LIST, .elem = MT_STR, .aliases = "group|groupname", .doc = "Groups to put it in."},
        NO_ARGS,
};
ROW(add_host, "add_host", "Adds a host to the inventory of this run.", add_host_args, MOD_ANY_ARGS, );

static const struct mod_arg assert_args[] = {
        {"that", MT_RAW, MA_REQUIRED, .doc = "Conditions that must all hold."},
        {"fail_msg", MT_RAW, .aliases = "msg", .doc = "What to say when one does not."},
        {"success_msg", MT_RAW, .doc = "What to say when they hold."},
        {"quiet", MT_BOOL, .dflt = "false", .doc = "Say less."},
        NO_ARGS,
};
ROW(assert, "assert", "Fails unless conditions hold.", assert_args, 0, );

static const struct mod_arg debug_args[] = {
        {"msg", MT_RAW, .doc = "What to print."},
        {"var", MT_RAW, .doc = "The variable or expression to print."},
        {"verbosity", MT_INT, .dflt = "0", .doc = "Only at this many -v and more."},
        NO_ARGS,
};
ROW(debug, "debug", "Prints a message or a variable.", debug_args, MOD_RAW_PARAMS,
    .mutually_exclusive = "msg|var");

static const struct mod_arg fail_args[] = {
        {"msg", MT_RAW, .dflt = "Failed as requested from task", .doc = "Why."},
        NO_ARGS,
};
ROW(fail, "fail", "Fails with a message.", fail_args, 0, );

static const struct mod_arg fetch_args[] = {
        {"src", MT_STR, MA_REQUIRED, .doc = "The file on the host."},
        {"dest", MT_STR, MA_REQUIRED, .doc = "Where to put it on the controller."},
        {"fail_on_missing", MT_BOOL, .dflt = "true", .doc = "Fail when it does not exist."},
        {"validate_checksum", MT_BOOL, .dflt = "true", .doc = "Compare checksums."},
        {"flat", MT_BOOL, .dflt = "false", .doc = "Do not add the host's name and path."},
        NO_ARGS,
};
ROW(fetch, "fetch", "Copies a file from the host.", fetch_args, 0, );

static const struct mod_arg group_by_args[] = {
        {"key", MT_STR, MA_REQUIRED, .doc = "The group's name."},
        {"parents", MT_LIST, .elem = MT_STR, .dflt = "all", .doc = "Its parent groups."},
        NO_ARGS,
};
ROW(group_by, "group_by", "Puts hosts into groups by a value.", group_by_args, 0, );

static const struct mod_arg include_args[] = {
        {"file", MT_STR, .doc = "The file of tasks."},
        {"apply", MT_DICT, .doc = "Keywords for the included tasks."},
        NO_ARGS,
};
ROW(include_tasks, "include_tasks", "Includes a list of tasks while running.", include_args,
    MOD_RAW_PARAMS, );
ROW(import_tasks, "import_tasks", "Includes a list of tasks while loading.", include_args, MOD_RAW_PARAMS, );
ROW(include, "include", "Includes a list of tasks.", include_args, MOD_RAW_PARAMS | MOD_ANY_ARGS, );
ROW(import_playbook, "import_playbook", "Includes the plays of another playbook.", include_args,
    MOD_RAW_PARAMS, );

static const struct mod_arg role_args[] = {
        {"name", MT_STR, MA_REQUIRED, .aliases = "role", .doc = "The role."},
        {"tasks_from", MT_STR, .dflt = "main", .doc = "Which file of its tasks."},
        {"vars_from", MT_STR, .dflt = "main", .doc = "Which file of its vars."},
        {"defaults_from", MT_STR, .dflt = "main", .doc = "Which file of its defaults."},
        {"handlers_from", MT_STR, .dflt = "main", .doc = "Which file of its handlers."},
        {"apply", MT_DICT, .doc = "Keywords for its tasks."},
        {"allow_duplicates", MT_BOOL, .dflt = "true", .doc = "Run it again when it has run."},
        {"public", MT_BOOL, .doc = "Leave its variables to the play."},
        {"rolespec_validate", MT_BOOL, .dflt = "true", .doc = "Check its argument specification."},
        NO_ARGS,
};
ROW(include_role, "include_role", "Runs a role, chosen while running.", role_args, 0, );
ROW(import_role, "import_role", "Runs a role, chosen while loading.", role_args, 0, );

static const struct mod_arg include_vars_args[] = {
        {"file", MT_STR, .doc = "The file."},
        {"dir", MT_STR, .doc = "A directory of files."},
        {"name", MT_STR, .doc = "The variable to put them under."},
        {"depth", MT_INT, .dflt = "0", .doc = "How deep to go below dir."},
        {"files_matching", MT_STR, .doc = "A regular expression of file names."},
        {"ignore_files", MT_LIST, .elem = MT_STR, .doc = "Names to leave out."},
        {"extensions", MT_LIST, .elem = MT_STR, .dflt = "json,yaml,yml", .doc = "Endings to read."},
        {"ignore_unknown_extensions", MT_BOOL, .dflt = "false", .doc = "Pass over other endings."},
        {"hash_behaviour", MT_STR, .choices = "replace|merge", .doc = "What happens to dicts that exist."},
        NO_ARGS,
};
ROW(include_vars, "include_vars", "Loads variables from files.", include_vars_args, MOD_RAW_PARAMS, );

ROW(meta, "meta", "Acts on the run itself: flush_handlers, end_play, ...", none, MOD_RAW_PARAMS, );

static const struct mod_arg pause_args[] = {
        {"minutes", MT_RAW, .doc = "How long."},
        {"seconds", MT_RAW, .doc = "How long."},
        {"prompt", MT_STR, .doc = "What to show."},
        {"echo", MT_BOOL, .dflt = "true", .doc = "Show what is typed."},
        NO_ARGS,
};
ROW(pause, "pause", "Waits.", pause_args, 0, .mutually_exclusive = "minutes|seconds");

static const struct mod_arg set_fact_args[] = {
        {"cacheable", MT_BOOL, .dflt = "false", .doc = "Keep it as a fact."},
        NO_ARGS,
};
ROW(set_fact, "set_fact", "Sets variables of the host.", set_fact_args, MOD_ANY_ARGS | MOD_RAW_PARAMS, );

static const struct mod_arg set_stats_args[] = {
        {"data", MT_DICT, MA_REQUIRED, .doc = "What to report."},
        {"per_host", MT_BOOL, .dflt = "false", .doc = "Per host instead of for the run."},
        {"aggregate", MT_BOOL, .dflt = "true", .doc = "Add to what is there."},
        NO_ARGS,
};
ROW(set_stats, "set_stats", "Reports values of the run: outputs and summary.", set_stats_args, 0, );

static const struct mod_arg template_args[] = {
        {"src", MT_PATH, MA_REQUIRED, .doc = "The template on the controller."},
        {"dest", MT_PATH, MA_REQUIRED, .doc = "The file to write."},
        {"backup", MT_BOOL, .dflt = "false", .doc = "Keep a dated copy of what was there."},
        {"force", MT_BOOL, .dflt = "true", .doc = "Replace a file that differs."},
        {"follow", MT_BOOL, .dflt = "false", .doc = "Write through a symbolic link at dest."},
        {"validate", MT_STR, .doc = "A command that must accept the new file, given as %s."},
        {"newline_sequence", MT_STR, .dflt = "\n", .doc = "How lines end."},
        {"block_start_string", MT_STR, .dflt = "{%", .doc = "Marks a statement's start."},
        {"block_end_string", MT_STR, .dflt = "%}", .doc = "Marks a statement's end."},
        {"variable_start_string", MT_STR, .dflt = "{{", .doc = "Marks an expression's start."},
        {"variable_end_string", MT_STR, .dflt = "}}", .doc = "Marks an expression's end."},
        {"comment_start_string", MT_STR, .dflt = "{#", .doc = "Marks a comment's start."},
        {"comment_end_string", MT_STR, .dflt = "#}", .doc = "Marks a comment's end."},
        {"trim_blocks", MT_BOOL, .dflt = "true", .doc = "Drop the new line after a statement."},
        {"lstrip_blocks", MT_BOOL, .dflt = "false", .doc = "Drop white space before a statement."},
        {"output_encoding", MT_STR, .dflt = "utf-8", .doc = "The encoding to write."},
        NO_ARGS,
};
ROW(template, "template", "Renders a template to a file of the host.", template_args,
    MOD_FILE_ARGS | MOD_DIFF, );

static const struct mod_arg validate_args[] = {
        {"argument_spec", MT_DICT, MA_REQUIRED, .doc = "The specification."},
        {"provided_arguments", MT_DICT, .doc = "What to check against it."},
        {"validate_args_context", MT_DICT, .doc = "Where it comes from, for messages."},
        NO_ARGS,
};
ROW(validate_argument_spec, "validate_argument_spec", "Checks variables against a specification.",
    validate_args, 0, );

static const struct mod_arg wait_args[] = {
        {"connect_timeout", MT_INT, .dflt = "5", .doc = "Seconds one attempt may take."},
        {"delay", MT_INT, .dflt = "0", .doc = "Seconds before the first."},
        {"sleep", MT_INT, .dflt = "1", .doc = "Seconds between them."},
        {"timeout", MT_INT, .dflt = "600", .doc = "Seconds in all."},
        NO_ARGS,
};
ROW(wait_for_connection, "wait_for_connection", "Waits until the host can be reached.", wait_args, 0, );

static const struct mod_arg reboot_args[] = {
        {"pre_reboot_delay", MT_INT, .dflt = "0", .doc = "Seconds before."},
        {"post_reboot_delay", MT_INT, .dflt = "0", .doc = "Seconds after."},
        {"reboot_timeout", MT_INT, .dflt = "600", .doc = "Seconds it may take."},
        {"connect_timeout", MT_INT, .doc = "Seconds one attempt may take."},
        {"test_command", MT_STR, .doc = "What must work afterwards."},
        {"msg", MT_STR, .dflt = "Reboot initiated by Ansible", .doc = "What users are told."},
        {"search_paths", MT_LIST, .elem = MT_STR, .dflt = "/sbin,/bin,/usr/sbin,/usr/bin,/usr/local/sbin",
         .doc = "Where shutdown is."},
        {"boot_time_command", MT_STR, .dflt = "cat /proc/sys/kernel/random/boot_id",
         .doc = "Tells boots apart."},
        {"reboot_command", MT_STR, .doc = "How to reboot."},
        NO_ARGS,
};
ROW(reboot, "reboot", "Reboots the host and waits for it.", reboot_args, 0, );

static const struct mod_arg gather_facts_args[] = {
        {"parallel", MT_BOOL, .doc = "Ignored."},
        NO_ARGS,
};
ROW(gather_facts, "gather_facts", "Gathers facts as a play does.", gather_facts_args, MOD_ANY_ARGS, );
