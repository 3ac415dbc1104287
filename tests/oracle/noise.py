"""What the results of two right programs may differ in, each with its reason."""
import fnmatch
import json
import re

# In a result, and in results that hold results: member, why it is not compared
ANYWHERE = [
    ("invocation", "the arguments again, as Python saw them"),
    ("diff", "shown and compared as text where a case plays with --diff"),
    ("warnings", "advice, in each program's own words"),
    ("deprecations", "advice, in each program's own words"),
    ("exception", "a Python traceback"),
    ("start", "a moment"),
    ("end", "a moment"),
    ("delta", "a duration"),
    ("elapsed", "a duration"),
    ("false_condition", "newer than the recording ansible-core"),
    ("_ansible_*", "not for the public"),
    ("discovered_interpreter_python", "there is no Python to be found"),
    *((k, "chance") for k in ("dev", "inode", "ansible_job_id", "results_file", "erased")),
    *((k, "the magic data base of the machine, where there is one") for k in ("mimetype", "charset")),
    *((k, "a moment") for k in ("atime", "ctime", "mtime")),
    *((k, "the file system's choice") for k in ("attr_flags", "attributes", "block_size", "blocks")),
]
# module, member (patterns of fnmatch; a dot goes one level down), why it is not compared
ROWS = [
    ("copy", "src", "where the content waited on the host"),
    ("template", "src", "where the content waited on the host"),
    ("pause", "stop", "a moment"),
    ("pause", "stdout", "a duration"),
    ("tempfile", "path", "chance"),
    ("setup", "ansible_facts", "compared by the cases that print facts"),
    ("gather_facts", "ansible_facts", "compared by the cases that print facts"),
]
# In the message of a failure: pattern, replacement, why
WORDS = [
    (r"\n+The (error appears to|offending line).*", "", "the source lines around it; nante shows its own"),
    (r"^.*(The error was|original message): ", "", "what stands before the cause"),
    (r"^(Ansible\w+|Unexpected templating type error occurred on \(.*?\)|\{\{.*?\}\}|lookup '\w+'): ", "", "likewise"),
    (r"(.{8,}?)\. \1.*", r"\1", "the cause once more, in 2.14"),
]
DIRECTORY = ("size", "nlink")  # of a directory the file system's choice
# Nobody can register these; what they did is in the text.
SILENT = ("include", "include_tasks", "include_role", "import_role", "import_tasks", "meta")
LINK = ("size",)  # of a link the length of a path, that of the scratch directory among them
TOP = ("failed", "skipped")  # the status says it; Ansible's own callbacks do not see these either


PYTHON = (re.compile(r"\bAnsible(Unicode|UnsafeText)\b"), "str")  # 2.14's names for it
BACKUP = (re.compile(r"\.\d+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~"), ".@BACKUP@~")  # process and moment


def _drop(value, path, rows):
    if isinstance(value, list):
        return [_drop(v, path, rows) for v in value]
    if not isinstance(value, dict):
        return value
    out = {}
    directory = value.get("state") == "directory" or value.get("isdir") is True
    link = value.get("state") == "link" or value.get("islnk") is True
    for key, v in value.items():
        here = f"{path}.{key}" if path else key
        if "isreg" in value and key == "version":  # of an inode: chance
            continue
        if directory and key in DIRECTORY or link and key in LINK or any(fnmatch.fnmatchcase(key, member) for member, _ in ANYWHERE):
            continue
        if not any(fnmatch.fnmatchcase(here, member) for member in rows):
            out[key] = _drop(v, here, rows)
    return out


def _words(msg):
    for pattern, replacement, _ in WORDS:
        msg = re.sub(pattern, replacement, msg, flags=re.S)
    return msg


def clean(line, noise):
    """The result of LINE (a dict of the results file) without noise. NOISE: the case's own (task, member) rows."""
    action = line["action"].rsplit(".", 1)[-1]
    title = re.sub(r"\s", "_", line["task"])
    rows = [member for module, member, _ in ROWS if fnmatch.fnmatchcase(action, module)]
    rows += [member for task, member in noise if fnmatch.fnmatchcase(title, task)]
    result = _drop({k: v for k, v in line["result"].items() if k not in TOP}, "", rows)
    if isinstance(result.get("results"), list):
        result["results"] = [_drop(v, "", rows) for v in result["results"]]
    if line["status"] == "failed" and result.get("changed") is False:
        del result["changed"]  # an error of the language does not say
    if line["status"] == "failed" and isinstance(result.get("msg"), str):
        result["msg"] = _words(result["msg"])
    return result


def render(lines, noise):
    """The results as text: a block per task and host, a line per member; hosts of one task in any order."""
    tasks = []
    for line in lines:
        if line["action"].rsplit(".", 1)[-1] in SILENT and line["status"] != "failed":
            continue
        if tasks and tasks[-1][0]["task"] == line["task"] and line["host"] not in [x["host"] for x in tasks[-1]]:
            tasks[-1].append(line)
        else:
            tasks.append([line])
    out = []
    for task in tasks:
        for line in sorted(task, key=lambda x: x["host"]):
            out.append(f"{line['task']} | {line['host']} {line['status']}{' ignored' if line.get('ignored') else ''}")
            for key, value in sorted(clean(line, noise).items()):
                items = value if key == "results" and isinstance(value, list) else None
                for i, v in enumerate(items or []):
                    out.append(f"    results[{i}]: {json.dumps(v, sort_keys=True, ensure_ascii=False)}")
                if items is None:
                    out.append(f"    {key}: {json.dumps(value, sort_keys=True, ensure_ascii=False)}")
    return "".join(line + "\n" for line in out)
