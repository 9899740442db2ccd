/* Runs Lua's interpreter as `lua -` does: the script comes on standard input, which is a pipe that holds it whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* lua.c's own is called `lua`. */
#undef main
int lua(int count, char **arguments);

static const char SCRIPT[] =
	"local function sum(n) if n == 0 then return 0 end return n + sum(n - 1) end\n"
	"assert(sum(100) == 5050)\n"
	"local words = {}\n"
	"for word in ('the quick brown fox jumps over the lazy dog'):gmatch('%a+') do words[#words + 1] = word end\n"
	"table.sort(words)\n"
	"print(table.concat(words, ' '))\n"
	"local producer = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i * i) end end)\n"
	"local squares = {}\n"
	"for square in producer do squares[#squares + 1] = square end\n"
	"print(table.concat(squares, ','))\n"
	"local point = setmetatable({x = 3}, {__add = function(a, b) return a.x + b.x end, __index = function(_, key) return key end})\n"
	"print(point + point, point.anything, 7 // 2, 7 / 2, 2 ^ 53, 1 << 40, math.type(3.0), 0.1 + 0.2)\n"
	"print(pcall(function() error({code = 7}) end))\n"
	"print(select(2, pcall(error, 'as told')), string.format('%5.2f|%-6s|%x', 3.14159, 'ab', 255))\n"
	"local closed = false\n"
	"do local guard <close> = setmetatable({}, {__close = function() closed = true end}) end\n"
	"print(closed, utf8.len('größe'), #'größe', ('x'):rep(3, '-'), (('abc'):gsub('b', '%0%0')))\n"
	"for round = 1, 50 do local garbage = {} for i = 1, 1000 do garbage[i] = {i} end end\n"
	"collectgarbage()\n"
	"print('in use after a collection:', collectgarbage('count') < 200)\n"
	"print('a file:', (io.open('/data/x')) == nil, os.time() > 0, os.getenv('MOOD'))\n";

int main(void)
{
	int script[2];
	char name[] = "lua", from_input[] = "-";
	char *arguments[] = { name, from_input, NULL };
	if (pipe(script) != 0 || write(script[1], SCRIPT, strlen(SCRIPT)) != (ssize_t)strlen(SCRIPT) || dup2(script[0], 0) < 0) {
		perror("no pipe");
		return EXIT_FAILURE;
	}
	close(script[1]);
	close(script[0]);
	return lua(2, arguments);
}
