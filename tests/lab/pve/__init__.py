"""A simulated Proxmox VE cluster whose machines are the lab's real hosts.

server.py   the HTTP side: sockets, form decoding, the order of checks, the log
routes.py   the endpoint table: verb, path, parameters, permission, handler
schema.py   what a parameter table means and how a value is refused
formats.py  the named formats and property strings of the tables
table_*.py  the parameters of the larger endpoints
access.py   tokens, roles, access control lists
world.py    the cluster's state: nodes, storages, guests, pools; survives a restart
locks.py    the three kinds of lock and their time-outs
tasks.py    UPIDs, workers, task logs
guests.py   one guest's configuration: digest, tags, pending changes, disks
create.py config.py power.py clone.py snapshot.py    what can be done to a VM
cloudinit.py agent.py    what reaches into the machine
lxc.py      the same for containers
cluster.py  everything that is not about one guest
faults.py   faults injected by rule (the rules' format is described there)
fakehosts.py  hosts in memory, for tests without root
"""
