/* System calls and invocations of the seL4 ABI, written against the published numbers alone. */
#pragma once
#include <hybrid/abi.h>
#include <kernel/gen_config.h>
#include <sel4/gen_config.h>

typedef unsigned long word;
typedef unsigned char byte;

/* The IPC buffer. */
struct buffer {
    word tag;
    word message[HYBRID_MESSAGE_MAX_LENGTH];
    word user_data;
    word caps[HYBRID_MESSAGE_MAX_EXTRA_CAPS];
    word receive_cnode, receive_index, receive_depth;
};
_Static_assert(__builtin_offsetof(struct buffer, receive_depth) == HYBRID_BUFFER_RECEIVE_DEPTH, "IPC buffer");

extern struct buffer *buffer;

/* What comes back from the kernel. */
struct result {
    word badge, info, mr[4];
};

static inline struct result system_call(long number, word cap, word info, const word *mr, word reply) {
    register word x0 __asm__("x0") = cap;
    register word x1 __asm__("x1") = info;
    register word x2 __asm__("x2") = mr ? mr[0] : 0;
    register word x3 __asm__("x3") = mr ? mr[1] : 0;
    register word x4 __asm__("x4") = mr ? mr[2] : 0;
    register word x5 __asm__("x5") = mr ? mr[3] : 0;
    register word x6 __asm__("x6") = reply;
    register long x7 __asm__("x7") = number;
    __asm__ volatile("svc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5) : "r"(x6), "r"(x7) : "memory");
    return (struct result){x0, x1, {x2, x3, x4, x5}};
}

/* Invokes an object; gives the error number. `words` has at least four elements. */
static inline word invoke(word cap, word label, const word *words, word count, const word *caps, word cap_count) {
    for (word index = 4; index < count; index++) buffer->message[index] = words[index];
    for (word index = 0; index < cap_count; index++) buffer->caps[index] = caps[index];
    return system_call(HYBRID_SYS_CALL, cap, label << 12 | cap_count << 7 | count, words, 0).info >> 12;
}

#define WORDS(...) (const word[]){__VA_ARGS__}
