/* The modules of this build, one row each: M(descriptor). The order is that of nante doc. */
#define MODULE_LIST(M) \
	M(command)     \
	M(copy)        \
	M(file)        \
	M(ping)        \
	M(shell)       \
	M(stat)
