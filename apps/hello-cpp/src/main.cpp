// Says what a C++ program can do here: classes, templates, lambdas, `new`, objects that live as long as the program.
#include <new>
#include <stdio.h>
#include <stdlib.h>

namespace {
struct Shape {
	virtual ~Shape() { ended++; }
	virtual double area() const = 0;
	static int ended;
};
int Shape::ended = 0;

struct Square : Shape {
	explicit Square(double side) : side(side) {}
	double area() const override { return side * side; }
	double side;
};

struct Circle : Shape {
	explicit Circle(double radius) : radius(radius) {}
	double area() const override { return 3.14159265358979 * radius * radius; }
	double radius;
};

// What owns one object, and ends it.
template <class T> class Owner {
public:
	explicit Owner(T *object) : object(object) {}
	Owner(const Owner &) = delete;
	~Owner() { delete object; }
	T *operator->() const { return object; }

private:
	T *object;
};

template <class T, class F> auto folded(const T *items, int count, T start, F with)
{
	for (int i = 0; i < count; i++)
		start = with(start, items[i]);
	return start;
}

// Made before `main` and ended after it.
struct Global {
	Global() { made = 42; }
	~Global() { puts("a global object ended"); }
	int made;
} global;

struct alignas(64) Wide {
	char bytes[64];
};
} // namespace

int main()
{
	printf("hello from C++, a global object made %d\n", global.made);
	{
		Owner<Shape> square(new Square(2)), circle(new Circle(1));
		printf("areas %.3f and %.3f\n", square->area(), circle->area());
	}
	printf("ended %d objects\n", Shape::ended);
	const int numbers[] = {3, 1, 4, 1, 5, 9, 2, 6};
	int seen = 0;
	const int most = folded(numbers, 8, 0, [&seen](int a, int b) { seen++; return a > b ? a : b; });
	printf("the most of %d is %d\n", seen, most);
	auto *wide = new Wide;
	printf("alignment kept: %s\n", reinterpret_cast<unsigned long>(wide) % 64 == 0 ? "yes" : "no");
	delete wide;
	char *too_much = new (std::nothrow) char[1UL << 40];
	printf("too much memory: %s\n", too_much == nullptr ? "none" : "some");
	return too_much == nullptr ? EXIT_SUCCESS : EXIT_FAILURE;
}
