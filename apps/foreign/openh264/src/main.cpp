// Encodes 60 moving pictures with openh264 and sends the stream to whoever connects to the port that its argument says.
#include <codec_api.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {
constexpr int WIDTH = 160, HEIGHT = 96, PICTURES = 60, BLOCK = 24;

// A picture of planes Y, U and V: a slope of brightness that drifts, and a square that runs over it and bounces.
class Picture {
public:
	Picture()
	{
		memset(&source, 0, sizeof source);
		source.iColorFormat = videoFormatI420;
		source.iPicWidth = WIDTH;
		source.iPicHeight = HEIGHT;
		source.iStride[0] = WIDTH;
		source.iStride[1] = source.iStride[2] = WIDTH / 2;
		source.pData[0] = planes;
		source.pData[1] = planes + WIDTH * HEIGHT;
		source.pData[2] = planes + WIDTH * HEIGHT * 5 / 4;
	}

	const SSourcePicture *draw(int number)
	{
		const int left = bounce(number * 5, WIDTH - BLOCK), top = bounce(number * 3, HEIGHT - BLOCK);
		for (int y = 0; y < HEIGHT; y++)
			for (int x = 0; x < WIDTH; x++) {
				const bool is_block = x >= left && x < left + BLOCK && y >= top && y < top + BLOCK;
				source.pData[0][y * WIDTH + x] = is_block ? 220 : 40 + (x + y / 2 + number) % 120;
			}
		memset(source.pData[1], 110 + number % 20, WIDTH * HEIGHT / 4);
		memset(source.pData[2], 140 - number % 20, WIDTH * HEIGHT / 4);
		source.uiTimeStamp = number * 1000 / 30;
		return &source;
	}

private:
	static int bounce(int way, int room) { return way / room % 2 == 0 ? way % room : room - way % room; }

	SSourcePicture source;
	unsigned char planes[WIDTH * HEIGHT * 3 / 2];
};

// Bytes that grow.
class Stream {
public:
	~Stream() { free(bytes); }

	bool append(const unsigned char *more, size_t count)
	{
		auto *grown = static_cast<unsigned char *>(realloc(bytes, length + count));
		if (grown == nullptr)
			return false;
		memcpy(grown + length, more, count);
		bytes = grown;
		length += count;
		return true;
	}

	unsigned char *bytes = nullptr;
	size_t length = 0;
};

bool encode(ISVCEncoder &encoder, Stream &stream)
{
	SEncParamBase parameters = {};
	parameters.iUsageType = CAMERA_VIDEO_REAL_TIME;
	parameters.iPicWidth = WIDTH;
	parameters.iPicHeight = HEIGHT;
	parameters.iTargetBitrate = 400000;
	parameters.iRCMode = RC_OFF_MODE;
	parameters.fMaxFrameRate = 30;
	if (encoder.Initialize(&parameters) != cmResultSuccess)
		return false;
	auto *picture = new Picture;
	bool is_fine = true;
	for (int number = 0; number < PICTURES && is_fine; number++) {
		SFrameBSInfo info = {};
		is_fine = encoder.EncodeFrame(picture->draw(number), &info) == cmResultSuccess;
		for (int layer = 0; layer < info.iLayerNum && is_fine; layer++) {
			const SLayerBSInfo &part = info.sLayerInfo[layer];
			size_t length = 0;
			for (int unit = 0; unit < part.iNalCount; unit++)
				length += part.pNalLengthInByte[unit];
			is_fine = stream.append(part.pBsBuf, length);
		}
	}
	delete picture;
	encoder.Uninitialize();
	return is_fine;
}

int serve(int port, const Stream &stream)
{
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	sockaddr_in address = {};
	address.sin_family = AF_INET;
	address.sin_port = htons(port);
	if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 || listen(listener, 2) != 0) {
		perror("listen");
		return EXIT_FAILURE;
	}
	printf("serves the stream at port %d\n", port);
	for (;;) {
		const int client = accept(listener, nullptr, nullptr);
		if (client < 0) {
			perror("accept");
			return EXIT_FAILURE;
		}
		for (size_t sent = 0; sent < stream.length;) {
			const ssize_t count = send(client, stream.bytes + sent, stream.length - sent, MSG_NOSIGNAL);
			if (count <= 0)
				break;
			sent += count;
		}
		close(client);
	}
}
} // namespace

int main(int count, char **arguments)
{
	// Otherwise C keeps lines back until its buffer is full, as it does for a pipe.
	setvbuf(stdout, nullptr, _IOLBF, 0);
	ISVCEncoder *encoder = nullptr;
	Stream stream;
	if (WelsCreateSVCEncoder(&encoder) != 0 || encoder == nullptr || !encode(*encoder, stream)) {
		fputs("cannot encode\n", stderr);
		return EXIT_FAILURE;
	}
	WelsDestroySVCEncoder(encoder);
	printf("encoded %d pictures of %d x %d into %zu bytes\n", PICTURES, WIDTH, HEIGHT, stream.length);
	return serve(count > 1 ? atoi(arguments[1]) : 9, stream);
}
