/* base/crc32c: the vectors of RFC 3720 B.4 and the check value of the CRC catalogues; both ways give one result. */
#include "base/crc32c.h"
#include "base/random.h"
#include "tests/tap.h"

static void known(const char *name, const void *data, size_t size, uint32_t expected)
{
	is_int(crc32c(0, data, size), expected, "%s", name);
	is_int(crc32c_portable(0, data, size), expected, "%s, without the instruction", name);
}

static void vectors_of_rfc_3720(void)
{
	uint8_t bytes[32];
	static const uint8_t read_command[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
		0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};

	memset(bytes, 0, sizeof(bytes));
	known("32 bytes of zeros", bytes, 32, 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	known("32 bytes of ones", bytes, 32, 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	known("32 bytes incrementing", bytes, 32, 0x46dd794e);
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(31 - i);
	known("32 bytes decrementing", bytes, 32, 0x113fdb5c);
	known("an iSCSI read command", read_command, 48, 0xd9963a56);
	known("123456789", "123456789", 9, 0xe3069283);
	known("nothing", "", 0, 0);
}

static void chains_and_agrees_at_every_length_and_alignment(void)
{
	uint8_t data[200];
	struct random_seeded random;
	bool agrees = true, chains = true;

	random_seeded_init(&random, 1);
	random_fill(&random.source, data, sizeof(data));
	for (size_t start = 0; start < 9; start++)
		for (size_t size = 0; size + start <= sizeof(data); size++) {
			uint32_t whole = crc32c(0, data + start, size);
			agrees = agrees && whole == crc32c_portable(0, data + start, size);
			for (size_t cut = 0; cut <= size; cut += 13)
				chains = chains && crc32c(crc32c(0, data + start, cut), data + start + cut, size - cut) == whole;
		}
	ok(agrees, "instruction and tables agree at every length and alignment");
	ok(chains, "two parts give the checksum of the whole");
}

int main(void)
{
	vectors_of_rfc_3720();
	chains_and_agrees_at_every_length_and_alignment();
	return done_testing();
}
