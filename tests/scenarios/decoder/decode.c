/* Host only: decodes what apps/foreign/openh264 sent, with the decoder of Debian's libopenh264, and compares with what was drawn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>

enum { WIDTH = 160, HEIGHT = 96, BLOCK = 24, MOST = 4 << 20 };

static int bounce(int way, int room)
{
	return way / room % 2 == 0 ? way % room : room - way % room;
}

/* The mean difference in brightness from the picture that main.cpp of the component draws. */
static double difference(const unsigned char *plane, int stride, int number)
{
	int left = bounce(number * 5, WIDTH - BLOCK), top = bounce(number * 3, HEIGHT - BLOCK);
	long sum = 0;
	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++) {
			int is_block = x >= left && x < left + BLOCK && y >= top && y < top + BLOCK;
			sum += labs(plane[y * stride + x] - (is_block ? 220 : 40 + (x + y / 2 + number) % 120));
		}
	return (double)sum / (WIDTH * HEIGHT);
}

/* Where the next start code is: 0, 0, 1. */
static size_t next_unit(const unsigned char *bytes, size_t at, size_t length)
{
	for (; at + 3 <= length; at++)
		if (bytes[at] == 0 && bytes[at + 1] == 0 && bytes[at + 2] == 1)
			return at;
	return length;
}

int main(int count, char **arguments)
{
	static unsigned char bytes[MOST];
	FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
	size_t length = file ? fread(bytes, 1, sizeof bytes, file) : 0;
	ISVCDecoder *decoder = NULL;
	SDecodingParam parameters = { 0 };
	parameters.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
	if (length == 0 || WelsCreateDecoder(&decoder) != 0 || (*decoder)->Initialize(decoder, &parameters) != 0) {
		fprintf(stderr, "nothing to decode, or no decoder\n");
		return 1;
	}
	int pictures = 0, errors = 0, wide = 0, high = 0;
	double most = 0;
	for (size_t at = next_unit(bytes, 0, length); at < length;) {
		size_t end = next_unit(bytes, at + 3, length);
		unsigned char *planes[3] = { NULL };
		SBufferInfo info = { 0 };
		errors += (*decoder)->DecodeFrameNoDelay(decoder, bytes + at, end - at, planes, &info) != dsErrorFree;
		if (info.iBufferStatus == 1 && planes[0] != NULL) {
			wide = info.UsrData.sSystemBuffer.iWidth;
			high = info.UsrData.sSystemBuffer.iHeight;
			if (wide == WIDTH && high == HEIGHT) {
				double this = difference(planes[0], info.UsrData.sSystemBuffer.iStride[0], pictures);
				most = this > most ? this : most;
			}
			pictures++;
		}
		at = end;
	}
	(*decoder)->Uninitialize(decoder);
	WelsDestroyDecoder(decoder);
	printf("%d pictures of %d x %d, %d errors, differ by %.1f at most\n", pictures, wide, high, errors, most);
	return errors != 0;
}
