/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs that decide for flows in teardown and the process share: the table of those flows.
 * Plain C.
 *
 * A flow has one owner, who may change its entry's `word`: while the state in it is one of RFC 9293's,
 * whoever sees a packet first; while it is FREE or HELD, the process. The programs change it by
 * compare-and-swap, so that what they decide is decided once. The process takes a flow back to decide
 * about a packet that has come up, and gives it again with the state that has come of it. Nobody tells
 * it anything: it reads the word where it would act on the flow, and now and then.
 */
#pragma once

#include "nic/steering/flow_hash.h"

/* RFC 9293 section 3.3.2, in the order of TeardownState, behind those of the table. */
enum fl_teardown_state {
	FL_TEARDOWN_FREE, /* no flow */
	FL_TEARDOWN_HELD, /* a flow which the process decides for */
	FL_TEARDOWN_FIN_WAIT_1,
	FL_TEARDOWN_FIN_WAIT_2,
	FL_TEARDOWN_CLOSING,
	FL_TEARDOWN_LAST_ACK,
	FL_TEARDOWN_TIME_WAIT,
	FL_TEARDOWN_CLOSED, /* LAST-ACK, and our FIN is acknowledged */
};

/*
 * fl_teardown_entry.word:
 *
 *     63          32 31           8 7    5   4   3      0
 *     [ ts_recent   |  generation  |  0  |again| state  ]
 *
 * `again`: in TIME-WAIT a FIN has come again. The generation is another each time the process
 * writes the word.
 */
#define FL_TEARDOWN_STATE 0x0full
#define FL_TEARDOWN_AGAIN 0x10ull
#define FL_TEARDOWN_GENERATION 0x100ull
#define FL_TEARDOWN_GENERATIONS 0xffffff00ull

/* One cache line. All but `word` changes only while the state is FREE or HELD. */
struct fl_teardown_entry {
	__u64 word;
	struct fl_address local;
	struct fl_address remote;
	__u16 local_port; /* host order, as all numbers here */
	__u16 remote_port;
	__u32 fin_seq;   /* of the peer's FIN, whether it has come or not */
	__u32 end;       /* behind our FIN */
	__u32 ts_offset; /* of our timestamp clock, fl_timestamp_sent() */
	__u32 until;     /* seconds; from then on all goes up: its process has died */
	__u16 window;    /* of our segments, the header's field */
	__u16 timestamps; /* nonzero: agreed on */
};

#define FL_TEARDOWN_WAYS 4

/* The flows with one hash. */
struct fl_teardown_bucket {
	struct fl_teardown_entry entries[FL_TEARDOWN_WAYS];
};

struct fl_teardown_tuple {
	struct fl_endpoint local;
	struct fl_endpoint remote;
};

static inline __attribute__((always_inline)) __u32 fl_teardown_state_of(__u64 word)
{
	return (__u32)(word & FL_TEARDOWN_STATE);
}

static inline __attribute__((always_inline)) __u32 fl_teardown_ts_recent_of(__u64 word)
{
	return (__u32)(word >> 32);
}

/* Of a table of that many buckets. When they are a multiple of the shards, each shard's are its own
 * and in one piece (fl_shard()). */
static inline __attribute__((always_inline)) __u32
fl_teardown_bucket_of(const struct fl_teardown_tuple *tuple, __u64 seed, __u32 buckets)
{
	return fl_shard(fl_flow_hash(&tuple->local, &tuple->remote, seed), buckets);
}
