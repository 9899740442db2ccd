// What C++ code calls that is in no header: memory, and the end of what must not be called. No exceptions, no type information.
//
// Source: Itanium C++ ABI, 2.6 (pure virtual functions), 3.3.5 (termination); C++20, [new.delete]. musl has __cxa_atexit.
#include <new>
#include <stdio.h>
#include <stdlib.h>

namespace std {
const nothrow_t nothrow{};

[[noreturn]] void terminate() noexcept
{
	abort();
}
} // namespace std

namespace {
void *memory(size_t bytes)
{
	return malloc(bytes != 0 ? bytes : 1);
}

void *memory(size_t bytes, std::align_val_t alignment)
{
	void *place = nullptr;
	size_t least = static_cast<size_t>(alignment) > sizeof(void *) ? static_cast<size_t>(alignment) : sizeof(void *);
	return posix_memalign(&place, least, bytes != 0 ? bytes : 1) == 0 ? place : nullptr;
}

// Without exceptions nothing can be thrown where memory has run out.
void *some(void *place)
{
	if (place == nullptr) {
		fputs("operator new: out of memory\n", stderr);
		abort();
	}
	return place;
}
} // namespace

void *operator new(size_t bytes) { return some(memory(bytes)); }
void *operator new[](size_t bytes) { return some(memory(bytes)); }
void *operator new(size_t bytes, const std::nothrow_t &) noexcept { return memory(bytes); }
void *operator new[](size_t bytes, const std::nothrow_t &) noexcept { return memory(bytes); }
void *operator new(size_t bytes, std::align_val_t to) { return some(memory(bytes, to)); }
void *operator new[](size_t bytes, std::align_val_t to) { return some(memory(bytes, to)); }
void *operator new(size_t bytes, std::align_val_t to, const std::nothrow_t &) noexcept { return memory(bytes, to); }
void *operator new[](size_t bytes, std::align_val_t to, const std::nothrow_t &) noexcept { return memory(bytes, to); }
void operator delete(void *place) noexcept { free(place); }
void operator delete[](void *place) noexcept { free(place); }
void operator delete(void *place, size_t) noexcept { free(place); }
void operator delete[](void *place, size_t) noexcept { free(place); }
void operator delete(void *place, const std::nothrow_t &) noexcept { free(place); }
void operator delete[](void *place, const std::nothrow_t &) noexcept { free(place); }
void operator delete(void *place, std::align_val_t) noexcept { free(place); }
void operator delete[](void *place, std::align_val_t) noexcept { free(place); }
void operator delete(void *place, size_t, std::align_val_t) noexcept { free(place); }
void operator delete[](void *place, size_t, std::align_val_t) noexcept { free(place); }

extern "C" {
// Objects of static duration are told apart by it where there are shared libraries; here there are none.
void *__dso_handle = nullptr;

[[noreturn]] void __cxa_pure_virtual()
{
	fputs("a pure virtual function was called\n", stderr);
	abort();
}

[[noreturn]] void __cxa_deleted_virtual()
{
	fputs("a deleted virtual function was called\n", stderr);
	abort();
}
}
