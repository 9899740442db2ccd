/* Runs SQLite's shell as `sqlite3 shop.db < script` does: the script is a file on standard input. */
#include <stdio.h>
#include <stdlib.h>

/* shell.c's own is called `sqlite_shell`. */
#undef main
int sqlite_shell(int count, char **arguments);

/* Makes what is not there yet, books one more life, and copies the database by its dump. */
static const char SCRIPT[] =
	"create table if not exists fruit(name text primary key, cents integer not null check (cents > 0));\n"
	"create table if not exists life(number integer primary key);\n"
	"create view if not exists dear as select name from fruit where cents > 100;\n"
	"insert or ignore into fruit values ('apple', 40), ('melon', 250), ('it''s a pear', 60), ('Jostabeere', 120);\n"
	"insert into life select coalesce(max(number), 0) + 1 from life;\n"
	".print tables\n"
	".tables\n"
	".print schema\n"
	".schema fruit\n"
	"select 'life ' || max(number) || ' of ' || count(*) from life;\n"
	"select count(*), sum(cents), round(avg(cents), 2) from fruit;\n"
	".headers on\n"
	".mode column\n"
	"select * from fruit order by cents desc limit 2;\n"
	".mode json\n"
	"select name, rank() over (order by cents) as place from fruit where name like '%a%' order by name;\n"
	".mode list\n"
	".headers off\n"
	"with recursive n(x) as (select 1 union all select x + 1 from n where x < 1000) select 'sum ' || sum(x) from n;\n"
	"begin; delete from fruit; rollback;\n"
	"insert into fruit values ('plum', -1);\n"
	"select * from nowhere;\n"
	"pragma integrity_check;\n"
	".output dump.sql\n"
	".dump\n"
	".output stdout\n"
	".open copy.db\n"
	"drop table if exists fruit; drop table if exists life; drop view if exists dear;\n"
	".read dump.sql\n"
	"select 'copied ' || group_concat(name, ', ') from (select name from dear order by name);\n"
	"attach 'shop.db' as shop;\n"
	"select 'differ ' || count(*) from (select * from fruit except select * from shop.fruit);\n"
	"pragma integrity_check;\n"
	".dump fruit\n"
	".exit 0\n";

int main(void)
{
	char name[] = "sqlite3", database[] = "shop.db";
	char *arguments[] = { name, database, NULL };
	FILE *script = fopen("script.sql", "w");
	/* It is to show what is written line by line, also to a log. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!script || fputs(SCRIPT, script) < 0 || fclose(script) != 0 || !freopen("script.sql", "r", stdin)) {
		perror("no script");
		return EXIT_FAILURE;
	}
	return sqlite_shell(2, arguments);
}
