/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs that answer SYNs, the daemon and the in-process seat share: listeners, secrets,
 * what is counted. Plain C.
 *
 * Nothing is stored of a handshake: what was agreed on comes back with the client's ACK
 * (setup_cookie.h).
 */
#pragma once

#include "nic/steering/steering_tables.h"

/* fl_setup_listener.flags */
#define FL_SETUP_ECN 0x01   /* accept ECN (RFC 3168) */
#define FL_SETUP_DEFER 0x02 /* a connection begins with what the client says: FL_SETUP_DEFERRED */

/*
 * A listener whose handshakes are done here; its key is its struct fl_listener. A listener for which
 * they are not, because setup offload is off or its server speaks first, has no entry.
 *
 * `window_scale` is covered by the cookie: an ACK which answers a SYN-ACK that said another one is
 * refused.
 */
struct fl_setup_listener {
	__u16 mss;         /* our MSS option; bytes */
	__u16 window;      /* of the SYN-ACK, never scaled; bytes */
	__u8 window_scale; /* our shift, 14 at most, for those who scale (RFC 7323 section 2.2) */
	__u8 flags;
	__u16 reserved;
};

/* Of SipHash. */
struct fl_sip_key {
	__u64 k0;
	__u64 k1;
};

/*
 * `cookie` is by parity of the epoch (setup_cookie.h): the one in use, and the one before, which
 * becomes the next when no cookie of its epoch is valid any more. `timestamps` stays.
 */
struct fl_setup_secrets {
	struct fl_sip_key cookie[2];
	struct fl_sip_key timestamps;
};

/* What becomes of a packet. Counted, one counter each. UP: to the host stack, as if we were not
 * there. */
enum fl_setup_verdict {
	FL_SETUP_NOT_OURS,         /* no listener of ours; neither SYN nor answer to a SYN-ACK of ours; up */
	FL_SETUP_ANSWERED,         /* a SYN, which became our SYN-ACK: back to where it came from */
	FL_SETUP_UP_NO_TIMESTAMPS, /* a SYN that leaves nowhere to put the options */
	FL_SETUP_UP_OPTIONS,       /* a SYN with Fast Open, MD5 or AO, an MSS below our smallest, or no room */
	FL_SETUP_UP_DATA,          /* a SYN with data or FIN */
	FL_SETUP_UP_MALFORMED,     /* a SYN with lengths, checksum, flags, addresses that can't be */
	FL_SETUP_NEW_CONNECTION,   /* an ACK that proves a handshake with us; up, with what was agreed on */
	FL_SETUP_EXPIRED,          /* answers a SYN-ACK too old */
	/*
	 * Says that it answers a SYN-ACK of ours, and does not. A forgery; or a segment that overtook
	 * the one that would have proved it, which is still to come: a host that knows no connection for
	 * it drops it silently. A reset would end an honest client's connection.
	 */
	FL_SETUP_FORGED,
	FL_SETUP_REPLAYED, /* proves a handshake that has already made a connection */
	FL_SETUP_DEFERRED, /* proves one and brings nothing, to a listener with FL_SETUP_DEFER; dropped */
	FL_SETUP_VERDICTS,
};
