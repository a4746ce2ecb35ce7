/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel programs and the daemon share: the layout of the steering tables' keys and values,
 * and the verdicts that are counted. Plain C.
 */
#pragma once

#include "nic/steering/flow_hash.h"

/* Why a packet goes where it goes. Counted by the tc program, one counter each. */
enum fl_verdict {
	FL_PASS_NOT_TCP,    /* not TCP, not an ICMP error about TCP, or malformed */
	FL_PASS_NOT_OURS,   /* TCP, but the kernel's */
	FL_PASS_NOT_HERE,   /* for another machine or another VLAN: promiscuous mode, multicast */
	FL_OURS_LISTENER,
	FL_OURS_LOCAL_PORT,
	FL_OURS_FRAGMENT,
	FL_OURS_ICMP_ERROR,
	FL_ANSWERED_SYN, /* to a listener, answered where it came in (setup_rule.h) */
	FL_ANSWERED_FIN, /* of a connection in teardown, the same (teardown_rule.h) */
	FL_CLOSING_ACK,  /* for one, taken where it came in */
	FL_DEFERRED_ACK, /* proves a handshake and brings nothing, to a listener that waits for data */
	FL_VERDICTS,
};

struct fl_listener {
	struct fl_address address; /* all zero, or ::ffff:0.0.0.0: any of this machine's */
	__u16 port;                /* host order */
	__u16 reserved[3];         /* zero: the kernel compares keys byte by byte */
};

/* Inclusive, host order; first > last: none. */
struct fl_port_range {
	__u16 first;
	__u16 last;
};
