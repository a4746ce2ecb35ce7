/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the splicing programs, the daemon and the in-process seat share: a rule, its key, what is
 * counted, what is told. Plain C.
 *
 * A spliced connection is two rules, one per direction, each found by the 4-tuple of the packets it
 * applies to:
 *
 *     client C ──[C → V]──▶ rule ──[L → D]──▶ server D        V: the address the client connected to
 *     client C ◀──[V → C]── rule ◀──[D → L]── server D        L: the address we connected from
 *
 * The key of the one is the reverse of what the other makes of a packet (fl_splice_reverse_key()).
 * All multi-byte fields are host order unless called network order; sequence numbers and timestamps
 * wrap.
 */
#pragma once

#include "nic/steering/flow_hash.h"

/* Of what is pinned: a table of another layout is not ours to read. To be raised with any change of
 * fl_splice_key, fl_splice_rule or fl_splice_state. */
#define FL_SPLICE_LAYOUT 1

/* A packet's 4-tuple as it arrives. Ports in network order. The kernel hashes and compares all
 * bytes: `reserved` is zero. */
struct fl_splice_key {
	struct fl_address source;
	struct fl_address destination;
	__u16 source_port;
	__u16 destination_port;
	__u32 reserved;
};

/* fl_splice_rule.flags */
#define FL_SPLICE_V6 0x01          /* IPv6, else IPv4 */
#define FL_SPLICE_TIMESTAMPS 0x02  /* both ends use them; else their offsets are 0 */
#define FL_SPLICE_SACK 0x04        /* both ends use it */
#define FL_SPLICE_FROM_CLIENT 0x08 /* client to server, else server to client */

/* fl_splice_rule.state: how far the connection's end has come. Bits are set by atomic or. */
#define FL_SPLICE_PEER_FIN 0x01       /* the other direction has sent its FIN: up to peer_fin_end */
#define FL_SPLICE_PEER_FIN_ACKED 0x02 /* and this direction has acknowledged it */
#define FL_SPLICE_RESET 0x04          /* a RST has passed in this direction */
#define FL_SPLICE_OVER 0x08           /* both FINs acknowledged: in both rules */
#define FL_SPLICE_RESET_EXACT 0x10    /* a RST has passed that its receiver had to believe */
#define FL_SPLICE_SENT_UP 0x20        /* packets are the process's: in a rule of the kernel's only */

/* fl_splice_rule.window before a packet has passed: any number is within it. */
#define FL_SPLICE_ANY_WINDOW 0xffffffffu

/*
 * One direction. The first part never changes while packets flow, except for the way out; the last
 * part is written by whoever translates, without a lock: when two processors have packets of one
 * direction at the same instant, a count may be lost.
 */
struct fl_splice_rule {
	/* What the packet becomes; ports in network order. */
	struct fl_address source;
	struct fl_address destination;
	__u16 source_port;
	__u16 destination_port;
	__u32 seq_offset;      /* added to SEQ */
	__u32 ack_offset;      /* added to ACK and to both edges of each SACK block */
	__u32 ts_value_offset; /* added to TSval */
	__u32 ts_echo_offset;  /* added to TSecr */
	/* One's-complement differences, new minus old, as RFC 1624's ~m + m' summed over 16-bit words as
	 * they stand in memory, not folded. */
	__u32 address_sum; /* both addresses: IPv4 header checksum and TCP's pseudo header */
	__u32 port_sum;    /* both ports */
	__s8 window_shift; /* > 0: left, saturating at 65535; < 0: right */
	__u8 flags;
	__u16 mtu; /* largest IP packet of the way out, bytes */
	/* The way out. */
	__u32 interface;  /* index */
	__u32 generation; /* of the pair, by its owner: tells an event of an earlier pair of this key */
	struct fl_address next_hop; /* the neighbour: the gateway's or the destination's address */
	__u64 spliced_at;           /* CLOCK_MONOTONIC, ns */
	__u16 shard;                /* whose it is */
	__u8 window_scale;          /* of the sender: its window << this is in bytes */
	__u8 reserved;              /* zero: fl_shift_options() relies on it */

	__u32 state;
	__u64 packets; /* segments, not super-packets */
	__u64 bytes;   /* of payload, retransmissions included */
	__u64 last_at; /* CLOCK_MONOTONIC, ns, coarse: the last packet */
	/* In this direction's acknowledgement space, after translation: */
	__u32 peer_fin_end; /* the sequence number behind the other direction's FIN */
	__u32 acked;        /* the last acknowledgement that passed */
	__u32 window;       /* and the window with it, bytes */
	__u32 reserved_2;
};

/* What a rule takes over while packets flow, from fl_splice_rewire's packet; of fl_splice_send_up's,
 * the shard. */
struct fl_splice_wiring {
	struct fl_splice_key key;
	struct fl_address next_hop;
	__u32 interface;
	__u16 mtu;
	__u16 shard;
};

/* Pinned beside the rules: what else must be as before for them to be found after a restart. */
struct fl_splice_state {
	__u64 hash_seed; /* of the flow hash */
	__u32 shards;
	__u32 shard_by_rule; /* rules were made with other shards */
};

/* What becomes of a packet. Counted, one counter each. */
enum fl_splice_verdict {
	FL_SPLICE_NO_RULE,    /* no rule: not ours */
	FL_SPLICE_TRANSLATED, /* sent on */
	FL_SPLICE_UP_SYN,     /* to the host stack: SYN, alone or with ACK */
	FL_SPLICE_UP_OPTIONS, /* IPv4 options, IPv6 extension headers */
	FL_SPLICE_UP_TOO_BIG, /* a segment larger than the way out takes */
	FL_SPLICE_UP_ICMP,    /* an ICMP error about a spliced connection */
	FL_SPLICE_UP_PROCESS, /* the splice is in the process, or on its way from there or back */
	FL_SPLICE_DROP_TTL,   /* TTL or hop limit used up */
	FL_SPLICE_DROP_FRAGMENT,
	FL_SPLICE_DROP_MALFORMED, /* header lengths that contradict the packet's */
	FL_SPLICE_DROP_NO_WAY,    /* could not be sent */
	FL_SPLICE_DROP_LATE,      /* of the end of a splice that went up meanwhile: comes again */
	FL_SPLICE_VERDICTS,
};

/* Counted beside the verdicts: events for which the ring buffer had no room. */
#define FL_SPLICE_EVENTS_LOST FL_SPLICE_VERDICTS
#define FL_SPLICE_COUNTERS (FL_SPLICE_VERDICTS + 1)

/* Ring buffers, one a shard. */
#define FL_SPLICE_MAX_SHARDS 256

/* Told by the ring buffer of the rule's shard. Hints: the rules hold the truth. */
enum fl_splice_event_kind {
	FL_SPLICE_EVENT_OVER = 1, /* both FINs acknowledged */
	FL_SPLICE_EVENT_RESET,    /* a RST has passed */
	FL_SPLICE_EVENT_REUSED,   /* a SYN for a new connection: the finished pair's rules are deleted */
};

struct fl_splice_event {
	struct fl_splice_key key; /* of the rule whose packet it was */
	__u32 generation;
	__u32 kind; /* enum fl_splice_event_kind */
	/* What has passed so far in the rule's direction and in the other. */
	__u64 packets;
	__u64 bytes;
	__u64 peer_packets;
	__u64 peer_bytes;
};
