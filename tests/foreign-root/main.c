/* A root task that knows HybridOS only by its published configuration: a foreigner's first hour on the kernel.
   It prints through a UART that it maps itself, and ends with "foreign-root: PASS" or a line with "FAIL". */
#include "kernel.h"

struct buffer *buffer;
static const byte *boot;
static volatile unsigned *uart;

/* Memory of every kind that a loader can get wrong. */
static word marked = 0x600df00d;
static const word constant = 0xc0ffee;
static byte large[24 << 20];
static const volatile byte filled[32 << 20] = {[0] = 0x5a, [(16 << 20) + 4097] = 0x3c, [(32 << 20) - 1] = 0xa5};
static __thread word thread_marked = 0x7eadbeef;
static __thread word thread_zero;
static byte main_tls[256] __attribute__((aligned(64)));
static byte other_tls[256] __attribute__((aligned(64)));
static byte other_stack[16384] __attribute__((aligned(4096)));
static struct {
    _Alignas(4096) volatile word counter;
} shared;
extern byte image_start[], image_end[], tdata_start[], tdata_end[], tbss_end[];
void worker(word, word, word);

/* The compiler calls these two for large initialisers and copies, whatever it is told. */
void *memset(void *to, int value, word count) {
    for (volatile byte *at = to; count; count--) *at++ = (byte)value;
    return to;
}

void *memcpy(void *to, const void *from, word count) {
    const byte *source = from;
    for (volatile byte *at = to; count; count--) *at++ = *source++;
    return to;
}

/* Output. */

static void put(char character) {
    if (!uart) return;
    while (uart[0x18 / 4] & 1 << 5) {}
    uart[0] = (unsigned char)character;
}

static void print(const char *text) {
    for (; *text; text++) {
        if (*text == '\n') put('\r');
        put(*text);
    }
}

static void print_number(word number) {
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count) put(digits[--count]);
}

static void stop(void) {
    for (;;) system_call(HYBRID_SYS_CALL, HYBRID_SLOT_TCB, HYBRID_TCB_SUSPEND << 12, 0, 0);
}

/* For threads that have nothing to do any more: their creator revokes them. */
static void stop_for_ever(void) {
    for (;;) __asm__ volatile("brk #2");
}

#define CHECK(condition) \
    do { \
        if (!(condition)) fail(#condition, __LINE__); \
    } while (0)

static void fail(const char *what, int line) {
    print("foreign-root: FAIL line ");
    print_number((word)line);
    print(": ");
    print(what);
    print("\n");
    stop();
}

/* Boot information. */

static word boot_word(word offset) { return *(const word *)(boot + offset); }
static word first_of(word region) { return boot_word(region); }
static word end_of(word region) { return boot_word(region + 8); }
static word count_of(word region) { return end_of(region) - first_of(region); }

struct untyped {
    word address;
    byte size_bits, is_device;
};

static struct untyped untyped(word index) {
    const byte *entry = boot + HYBRID_BOOT_UNTYPED_LIST + index * HYBRID_BOOT_UNTYPED_ENTRY_BYTES;
    return (struct untyped){
        *(const word *)entry, entry[HYBRID_BOOT_UNTYPED_ENTRY_SIZE_BITS], entry[HYBRID_BOOT_UNTYPED_ENTRY_IS_DEVICE]};
}

/* The slot of the untyped that holds this device register, if the memory before it is not used. */
static word device_untyped(word address) {
    for (word index = 0; index < count_of(HYBRID_BOOT_UNTYPED); index++) {
        struct untyped entry = untyped(index);
        if (entry.is_device && address >= entry.address && address - entry.address < 1UL << entry.size_bits)
            return first_of(HYBRID_BOOT_UNTYPED) + index;
    }
    return 0;
}

static word next_slot;
static word slot(void) { return next_slot++; }

/* Objects. */

static word retype(word memory, word kind, word bits, word target) {
    return invoke(memory, HYBRID_UNTYPED_RETYPE, WORDS(kind, bits, 0, 0, target, 1), 6, WORDS(HYBRID_SLOT_CNODE), 1);
}

static word make(word memory, word kind, word bits) {
    word target = slot();
    word error = retype(memory, kind, bits, target);
    if (error) {
        print("foreign-root: retype answers ");
        print_number(error);
        print("\n");
    }
    CHECK(!error);
    return target;
}

static word copy(word source, word rights) {
    word target = slot();
    CHECK(!invoke(HYBRID_SLOT_CNODE, HYBRID_CNODE_COPY, WORDS(target, 64, source, 64, rights), 5, WORDS(HYBRID_SLOT_CNODE), 1));
    return target;
}

static word on_slot(word label, word target) { return invoke(HYBRID_SLOT_CNODE, label, WORDS(target, 64, 0, 0), 2, 0, 0); }

/* Maps a frame, with the tables that are missing; their memory comes from `memory`. */
static void map(word memory, word space, word frame, word address, word attributes) {
    for (int level = 0; level < 4; level++) {
        word error = invoke(frame, HYBRID_PAGE_MAP, WORDS(address, HYBRID_RIGHT_READ | HYBRID_RIGHT_WRITE, attributes, 0), 3, WORDS(space), 1);
        if (!error) return;
        CHECK(error == HYBRID_ERROR_FAILED_LOOKUP);
        word table = make(memory, HYBRID_OBJECT_PAGE_TABLE, 0);
        CHECK(!invoke(table, HYBRID_PAGE_TABLE_MAP, WORDS(address, HYBRID_ATTR_DEFAULT, 0, 0), 2, WORDS(space), 1));
    }
    fail("four levels of tables are enough", __LINE__);
}

static word image_frame(const void *address) {
    return first_of(HYBRID_BOOT_USER_IMAGE_FRAMES) + ((word)address - (word)image_start) / 4096;
}

/* A thread of `space` that starts at `entry` with three arguments. */
static word thread(word memory, word space, word core, word entry, word stack, const word *arguments, word fault_handler, word tls) {
    word tcb = make(memory, HYBRID_OBJECT_TCB, 0);
    word context = make(memory, HYBRID_OBJECT_SCHED_CONTEXT, 8);
    CHECK(!invoke(tcb, HYBRID_TCB_CONFIGURE, WORDS(0, 0, 0, 0), 3, WORDS(HYBRID_SLOT_CNODE, space, 0), 3));
    word control = first_of(HYBRID_BOOT_SCHED_CONTROL) + core;
    CHECK(!invoke(control, HYBRID_SCHED_CONTROL_CONFIGURE_FLAGS, WORDS(10000, 10000, 0, 0, 0), 5, WORDS(context), 1));
    CHECK(!invoke(tcb, HYBRID_TCB_SET_SCHED_PARAMS, WORDS(200, 200, 0, 0), 2, WORDS(HYBRID_SLOT_TCB, context, fault_handler), 3));
    if (tls) CHECK(!invoke(tcb, HYBRID_TCB_SET_TLS_BASE, WORDS(tls, 0, 0, 0), 1, 0, 0));
    word words[2 + HYBRID_REGISTER_COUNT] = {1, HYBRID_REGISTER_COUNT};
    words[2 + HYBRID_REGISTER_PC] = entry;
    words[2 + HYBRID_REGISTER_SP] = stack;
    for (int index = 0; index < 3; index++) words[2 + HYBRID_REGISTER_X0 + index] = arguments[index];
    words[2 + HYBRID_REGISTER_TPIDR] = tls;
    CHECK(!invoke(tcb, HYBRID_TCB_WRITE_REGISTERS, words, 2 + HYBRID_REGISTER_COUNT, 0, 0));
    return tcb;
}

static void wait(word notification) { system_call(HYBRID_SYS_WAIT, notification, 0, 0, 0); }
static void signal(word notification) { system_call(HYBRID_SYS_SEND, notification, 0, 0, 0); }

/* The parts. */

static void start_tls(byte *block) {
    word size = (word)(tdata_end - tdata_start), whole = (word)(tbss_end - tdata_start);
    for (word index = 0; index < whole; index++) block[16 + index] = index < size ? tdata_start[index] : 0;
}

static void check_boot_info(void) {
    word image = ((word)image_end - (word)image_start + 4095) / 4096;
    CHECK((word)image_start == 0x10000000);
    CHECK(boot_word(HYBRID_BOOT_NODE_ID) == 0);
    CHECK(boot_word(HYBRID_BOOT_NUM_NODES) == CONFIG_MAX_NUM_NODES);
    CHECK(count_of(HYBRID_BOOT_SCHED_CONTROL) == CONFIG_MAX_NUM_NODES);
    CHECK(count_of(HYBRID_BOOT_USER_IMAGE_FRAMES) == image);
    CHECK((word)buffer == (word)image_start + image * 4096);
    CHECK((word)boot == (word)buffer + 4096);
    CHECK(boot_word(HYBRID_BOOT_CNODE_BITS) == CONFIG_ROOT_CNODE_SIZE_BITS);
    CHECK(end_of(HYBRID_BOOT_EMPTY) == 1UL << CONFIG_ROOT_CNODE_SIZE_BITS);
    CHECK(first_of(HYBRID_BOOT_USER_IMAGE_PAGING) == HYBRID_SLOT_FIRST_DYNAMIC);
    CHECK(count_of(HYBRID_BOOT_UNTYPED) > 20 && count_of(HYBRID_BOOT_UNTYPED) <= CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS);
#ifdef CONFIG_ARM_GIC_V3_SUPPORT
    CHECK(untyped(0).address == 0 && untyped(0).size_bits == 27 && untyped(0).is_device && untyped(1).address == 0x8010000);
#else
    CHECK(untyped(0).address == 0 && untyped(0).size_bits == 27 && untyped(0).is_device && untyped(1).address == 0x8001000);
#endif
    word total = 0;
    for (word index = 0; index < count_of(HYBRID_BOOT_UNTYPED); index++) {
        struct untyped entry = untyped(index);
        CHECK(entry.address % (1UL << entry.size_bits) == 0);
        if (!entry.is_device) total += 1UL << entry.size_bits;
    }
    CHECK(total > 900UL << 20);
    const word *extra = (const word *)(boot + 4096);
    int has_tree = 0;
    for (word at = 0; at < boot_word(HYBRID_BOOT_EXTRA_LEN); at += extra[at / 8 + 1]) {
        CHECK(extra[at / 8 + 1] >= 16 && at % 8 == 0);
        if (extra[at / 8] == HYBRID_BOOT_EXTRA_DEVICE_TREE) {
            const byte *tree = (const byte *)&extra[at / 8 + 2];
            has_tree = tree[0] == 0xd0 && tree[1] == 0x0d && tree[2] == 0xfe && tree[3] == 0xed;
        }
    }
    CHECK(has_tree);
}

static void check_memory(void) {
    CHECK(marked == 0x600df00d && constant == 0xc0ffee);
    CHECK(thread_marked == 0x7eadbeef && thread_zero == 0);
    for (word index = 0; index < sizeof large / sizeof(word); index++) CHECK(((volatile word *)large)[index] == 0);
    /* Nearly all of the file is this: what a loader of few pages, or of 16 MiB, would lose. */
    CHECK(filled[0] == 0x5a && filled[(16 << 20) + 4097] == 0x3c && filled[sizeof filled - 1] == 0xa5);
    CHECK(filled[1] == 0 && filled[sizeof filled - 2] == 0);
    volatile double number = 1.5;
    CHECK(number * number == 2.25);
}

/* A UART page from a device untyped; from here on there is output. */
static void map_uart(word memory) {
    word device = device_untyped(0x9000000);
    word frame = slot(), address = 0x20000000;
    if (!device || retype(device, HYBRID_OBJECT_SMALL_PAGE, 0, frame)) stop();
    map(memory, HYBRID_SLOT_VSPACE, frame, address, HYBRID_ATTR_EXECUTE_NEVER);
    uart = (volatile unsigned *)address;
    struct result at = system_call(HYBRID_SYS_CALL, frame, HYBRID_PAGE_GET_ADDRESS << 12, 0, 0);
    CHECK(at.info >> 12 == 0 && at.mr[0] == 0x9000000);
}

#ifdef CONFIG_EXPORT_PTMR_USER
static word counter(void) {
    word ticks;
    __asm__ volatile("isb\n mrs %0, cntpct_el0" : "=r"(ticks));
    return ticks;
}

static void set_timer(word deadline, word control) {
    __asm__ volatile("msr cntp_cval_el0, %0\n msr cntp_ctl_el0, %1\n isb" ::"r"(deadline), "r"(control));
}

static void use_timer(word memory) {
    word notification = make(memory, HYBRID_OBJECT_NOTIFICATION, 0), handler = slot();
    CHECK(!invoke(HYBRID_SLOT_IRQ_CONTROL, HYBRID_IRQ_ISSUE_HANDLER, WORDS(30, handler, 64, 0), 3, WORDS(HYBRID_SLOT_CNODE), 1));
    CHECK(!invoke(handler, HYBRID_IRQ_SET_HANDLER, WORDS(0, 0, 0, 0), 0, WORDS(notification), 1));
    for (int round = 0; round < 20; round++) {
        word deadline = counter() + CONFIG_TIMER_FREQUENCY / 1000;
        set_timer(deadline, 1);
        wait(notification);
        CHECK(counter() >= deadline);
        set_timer(0, 2);
        CHECK(!invoke(handler, HYBRID_IRQ_ACK, WORDS(0, 0, 0, 0), 0, 0, 0));
    }
    CHECK(!on_slot(HYBRID_CNODE_DELETE, handler));
}
#endif

/* Many address spaces and threads, made of one piece of memory that is taken back each round. */
static word spaces_and_threads(word memory, word rounds) {
    enum { SPACES = 8, CODE = 0x30000000, COUNTER = 0x40000000 };
    word first = next_slot, expected = shared.counter;
    for (word round = 0; round < rounds; round++) {
        word notification = make(memory, HYBRID_OBJECT_NOTIFICATION, 0);
        word copies[SPACES][2];
        for (int index = 0; index < SPACES; index++) {
            word space = make(memory, HYBRID_OBJECT_VSPACE, 0);
            CHECK(!invoke(HYBRID_SLOT_ASID_POOL, HYBRID_ASID_POOL_ASSIGN, WORDS(0, 0, 0, 0), 0, WORDS(space), 1));
            copies[index][0] = copy(image_frame((void *)worker), HYBRID_RIGHT_READ);
            copies[index][1] = copy(image_frame((void *)&shared), HYBRID_RIGHT_READ | HYBRID_RIGHT_WRITE);
            map(memory, space, copies[index][0], CODE, HYBRID_ATTR_DEFAULT);
            map(memory, space, copies[index][1], COUNTER, HYBRID_ATTR_DEFAULT | HYBRID_ATTR_EXECUTE_NEVER);
            thread(memory, space, (word)index % CONFIG_MAX_NUM_NODES, CODE, 0, WORDS(COUNTER, notification, 0), 0, 0);
        }
        expected += SPACES;
        while (shared.counter != expected) wait(notification);
        for (int index = 0; index < SPACES; index++) {
            CHECK(!on_slot(HYBRID_CNODE_DELETE, copies[index][0]));
            CHECK(!on_slot(HYBRID_CNODE_DELETE, copies[index][1]));
        }
        CHECK(!on_slot(HYBRID_CNODE_REVOKE, memory));
        next_slot = first;
    }
    return rounds * SPACES;
}

/* A thread of this address space with its own thread-local storage. */
static word other_done, other_saw;

static void other(void) {
    other_saw = thread_marked + thread_zero;
    thread_zero = 7;
    signal(other_done);
    stop_for_ever();
}

static void local_thread(word memory) {
    word first = next_slot;
    other_done = make(memory, HYBRID_OBJECT_NOTIFICATION, 0);
    start_tls(other_tls);
    thread(memory, HYBRID_SLOT_VSPACE, 0, (word)other, (word)(other_stack + sizeof other_stack), WORDS(0, 0, 0), 0, (word)other_tls);
    wait(other_done);
    CHECK(other_saw == 0x7eadbeef && thread_zero == 0);
    CHECK(!on_slot(HYBRID_CNODE_REVOKE, memory));
    next_slot = first;
}

/* What is exported can be read; what is not is a fault. A thread reads and then sends a message; its fault, if there is one, comes
   to the same endpoint. */
enum { WAS_READ = 99 };

#define READER(name) \
    static void read_##name(word endpoint) { \
        word value; \
        __asm__ volatile("mrs %0, " #name : "=r"(value)); \
        system_call(HYBRID_SYS_SEND, endpoint, WAS_READ << 12, 0, 0); \
        stop_for_ever(); \
    }
READER(cntpct_el0)
READER(cntvct_el0)
READER(cntp_ctl_el0)
READER(cntv_ctl_el0)
READER(pmcr_el0)

#ifdef CONFIG_EXPORT_PCNT_USER
#define PCNT 1
#else
#define PCNT 0
#endif
#ifdef CONFIG_EXPORT_VCNT_USER
#define VCNT 1
#else
#define VCNT 0
#endif
#ifdef CONFIG_EXPORT_PTMR_USER
#define PTMR 1
#else
#define PTMR 0
#endif
#ifdef CONFIG_EXPORT_VTMR_USER
#define VTMR 1
#else
#define VTMR 0
#endif
#ifdef CONFIG_EXPORT_PMU_USER
#define PMU 1
#else
#define PMU 0
#endif

static void exports(word memory) {
    static const struct {
        void (*read)(word);
        word is_exported;
    } registers[] = {{read_cntpct_el0, PCNT}, {read_cntvct_el0, VCNT}, {read_cntp_ctl_el0, PTMR}, {read_cntv_ctl_el0, VTMR}, {read_pmcr_el0, PMU}};
    word first = next_slot;
    for (word index = 0; index < sizeof registers / sizeof registers[0]; index++) {
        word endpoint = make(memory, HYBRID_OBJECT_ENDPOINT, 0), reply = make(memory, HYBRID_OBJECT_REPLY, 0);
        word stack = (word)(other_stack + sizeof other_stack);
        thread(memory, HYBRID_SLOT_VSPACE, 0, (word)registers[index].read, stack, WORDS(endpoint, 0, 0), endpoint, 0);
        word info = system_call(HYBRID_SYS_RECV, endpoint, 0, 0, reply).info;
        word label = info >> 12, length = info & 127;
        if (registers[index].is_exported) CHECK(label == WAS_READ);
        else CHECK(label == HYBRID_FAULT_USER_EXCEPTION && length == HYBRID_FAULT_USER_EXCEPTION_LENGTH);
        CHECK(!on_slot(HYBRID_CNODE_REVOKE, memory));
        next_slot = first;
    }
}

/* Switches the machine off, if this kernel announces how. */
static void power_off(void) {
    const word *extra = (const word *)(boot + 4096);
    for (word at = 0; at < boot_word(HYBRID_BOOT_EXTRA_LEN); at += extra[at / 8 + 1])
        if (extra[at / 8] == HYBRID_BOOT_BLOCK_ID)
            system_call(HYBRID_SYS_CALL, extra[at / 8 + 2], (word)HYBRID_PLATFORM_SYSTEM_OFF << 12, 0, 0);
}

void begin(const byte *boot_info) {
    boot = boot_info;
    buffer = (struct buffer *)boot_word(HYBRID_BOOT_IPC_BUFFER);
    start_tls(main_tls);
    __asm__ volatile("msr tpidr_el0, %0" ::"r"(main_tls));
    next_slot = first_of(HYBRID_BOOT_EMPTY);
    word memory = 0;
    for (word index = 0; index < count_of(HYBRID_BOOT_UNTYPED); index++)
        if (!untyped(index).is_device && untyped(index).size_bits >= 25) memory = first_of(HYBRID_BOOT_UNTYPED) + index;
    if (!memory) stop();
    word permanent = slot(), scratch = slot();
    if (retype(memory, HYBRID_OBJECT_UNTYPED, 20, permanent) || retype(memory, HYBRID_OBJECT_UNTYPED, 22, scratch)) stop();
    map_uart(permanent);
    print("foreign-root: hello\n");
    check_boot_info();
    check_memory();
#ifdef CONFIG_EXPORT_PTMR_USER
    use_timer(permanent);
#endif
    local_thread(scratch);
    exports(scratch);
    word made = spaces_and_threads(scratch, 50);
    print("foreign-root: ");
    print_number(made);
    print(" address spaces and threads made and revoked\nforeign-root: PASS\n");
    power_off();
    stop();
}
