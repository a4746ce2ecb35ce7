/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory that a packet socket and a kernel program share (nic/bpf/send_burst.bpf.c): the short
 * frames of a burst, which leave with one system call. Plain C.
 *
 * The socket's owner fills frames[0] to frames[size - 1] in and sends the last of them. The program
 * sees it leave and puts out the others before it, in the same system call. All are of one
 * EtherType.
 */
#pragma once

#include <linux/types.h>

#define FL_BURST_SHARDS 64 /* as many as there can be */
#define FL_BURST_FRAMES 64
#define FL_BURST_FRAME 508 /* bytes of the longest */

struct fl_burst_frame {
  __u32 size;
  __u8 bytes[FL_BURST_FRAME];
};

struct fl_burst {
  __u64 socket;   /* its cookie (SO_COOKIE); 0: none yet */
  __u8 apart[56]; /* all packets look at the one, the owner writes the others */
  __u32 size;     /* frames; 0 once the program has seen them */
  /* Of all but the last, those that left; others were dropped: a full queue, a filter. */
  __u32 sent;
  __u32 sent_bytes;
  __u8 apart_too[52];
  struct fl_burst_frame frames[FL_BURST_FRAMES];
};
