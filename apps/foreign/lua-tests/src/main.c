/* Runs Lua's own tests as `lua -e _U=true -e LOCALES all.lua` does, in a directory into which it writes their files first. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* lua.c's own is called `lua`. */
#undef main
int lua(int count, char **arguments);

/* What all.lua runs; the rest of the folder it does not. */
#define TESTS(of) \
	of(all) of(api) of(attrib) of(bitwise) of(bwcoercion) of(calls) of(closure) of(code) of(constructs) of(coroutine) \
	of(cstack) of(db) of(errors) of(events) of(files) of(gc) of(gengc) of(goto) of(literals) of(locals) of(main) of(math) \
	of(nextvar) of(pm) of(sort) of(strings) of(tpack) of(tracegc) of(utf8) of(vararg) of(verybig)

#define BYTES(name) \
	__asm__(".pushsection .rodata\n" #name "_lua: .incbin \"" #name ".lua\"\n" #name "_lua_end:\n.popsection\n"); \
	extern const char name##_lua[], name##_lua_end[];
TESTS(BYTES)

static const struct {
	const char *name, *begin, *end;
} FILES[] = {
#define ENTRY(name) { #name ".lua", name##_lua, name##_lua_end },
	TESTS(ENTRY)
};

/* musl says yes to the name of every locale, and has none but C: the tests would want its decimal comma. */
static char locales[] =
	"local set = os.setlocale "
	"function os.setlocale(name, ...) if not name or name == '' or name == 'C' or name == 'POSIX' then return set(name, ...) end end";

static int written(const char *name, const char *begin, const char *end)
{
	size_t length = end - begin;
	FILE *file = fopen(name, "w");
	return file && fwrite(begin, 1, length, file) == length && fclose(file) == 0;
}

int main(void)
{
	char name[] = "lua", option[] = "-e", basic[] = "_U=true", all[] = "all.lua";
	char *arguments[] = { name, option, basic, option, locales, all, NULL };
	/* For files without a name of their own. */
	mkdir("/tmp", 0777);
	for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
		if (!written(FILES[i].name, FILES[i].begin, FILES[i].end)) {
			perror(FILES[i].name);
			return EXIT_FAILURE;
		}
	return lua(6, arguments);
}
