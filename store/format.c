/* The format file says whose data this is and how to read it. It is written last when a directory is made, so that a directory without
 * one is either not ours or was never finished. Text, so that a person can look; each line is checked, and the last one is a
 * checksum over the others. */
#include "store/format.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "store/bytes.h"

#define FORMAT_MAX 1024u       /* bytes; a larger file is not ours */
#define FORMAT_FIRST_LINE "dios data directory\n"

int store_say(char *error, size_t error_size, int code, const char *format, ...)
{
	if (error_size == 0) return code;
	va_list ap;
	va_start(ap, format);
	vsnprintf(error, error_size, format, ap);
	va_end(ap);
	return code;
}

static void hex_write(const uint8_t *bytes, size_t size, char *text)
{
	for (size_t i = 0; i < size; i++) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static int hex_read(const char *text, uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
		if (low < 0) return -EBADMSG;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * size] == '\n' ? 0 : -EBADMSG;
}

/* Writes a small file so that after a crash it is there whole or not at all. */
static int write_whole(struct disk *disk, const char *path, const char *text, size_t size)
{
	char temporary[64];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	struct disk_file *file;
	int r = disk_open(disk, temporary, O_RDWR | O_CREAT | O_TRUNC, &file);
	if (r < 0) return r;
	r = disk_pwrite(file, text, size, 0);
	if (r == 0) r = disk_sync(file);
	disk_close(file);
	if (r == 0) r = disk_rename(disk, temporary, path);
	return r < 0 ? r : disk_sync_dir(disk, ".");
}

/* At most size - 1 bytes, with a NUL behind. -EFBIG: longer. */
static int read_whole(struct disk *disk, const char *path, char *text, size_t size)
{
	struct disk_file *file;
	int r = disk_open(disk, path, O_RDONLY, &file);
	if (r < 0) return r;
	ssize_t n = disk_pread(file, text, size, 0);
	disk_close(file);
	if (n < 0) return (int)n;
	if ((size_t)n == size) return -EFBIG;
	text[n] = '\0';
	return (int)n;
}

uint64_t format_owner(const struct format *f)
{
	uint64_t owner = get_le64(f->disk_id);
	return owner ? owner : 1;
}

int format_write(struct disk *disk, const struct format *f)
{
	char cluster[33], disk_id[33], text[FORMAT_MAX];
	hex_write(f->cluster_id, 16, cluster);
	hex_write(f->disk_id, 16, disk_id);
	int n = snprintf(text, sizeof(text), FORMAT_FIRST_LINE "version %" PRIu32 "\ncluster %s\nnode %" PRIu64 "\ndisk %s\nmade %" PRId64 "\n",
		f->version, cluster, f->node_id, disk_id, f->made_ns);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "checksum %08" PRIx32 "\n", crc32c(0, text, (size_t)n));
	int r = write_whole(disk, "format.copy", text, (size_t)n);
	return r < 0 ? r : write_whole(disk, "format", text, (size_t)n);
}

/* The last line of each version, so that a damaged version is told from a newer one. */
static bool checksum_matches(const char *text, size_t size)
{
	const char *check = strstr(text, "\nchecksum ");
	uint8_t crc[4];
	if (!check || strlen(text) != size || hex_read(check + 10, crc, 4) < 0 || check + 10 + 8 + 1 != text + size) return false;
	uint32_t want = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3];
	return crc32c(0, text, (size_t)(check + 1 - text)) == want;
}

static int format_parse(const char *text, struct format *f)
{
	const char *cluster = strstr(text, "\ncluster "), *disk_id = strstr(text, "\ndisk ");
	const char *node = strstr(text, "\nnode "), *made = strstr(text, "\nmade ");
	if (!cluster || !disk_id || !node || !made) return -EBADMSG;
	if (hex_read(cluster + 9, f->cluster_id, 16) < 0 || hex_read(disk_id + 6, f->disk_id, 16) < 0) return -EBADMSG;
	f->node_id = strtoull(node + 6, NULL, 10);
	f->made_ns = strtoll(made + 6, NULL, 10);
	return f->node_id == 0 ? -EBADMSG : 0;
}

int format_read_file(struct disk *disk, const char *path, struct format *ret_format, char *error, size_t error_size)
{
	char text[FORMAT_MAX];
	int n = read_whole(disk, path, text, sizeof(text));
	if (n == -ENOENT) return store_say(error, error_size, -ENOENT, "there is no file '%s' in it: not a dios data directory, or one whose making was interrupted ('dios init' makes one)", path);
	if (n < 0 && n != -EFBIG) return store_say(error, error_size, n, "its file '%s' cannot be read: %s", path, strerror(-n));
	size_t first = strlen(FORMAT_FIRST_LINE);
	if (n == -EFBIG || (size_t)n < first || memcmp(text, FORMAT_FIRST_LINE, first) != 0)
		return store_say(error, error_size, -EINVAL, "its file '%s' does not begin with 'dios data directory': it belongs to something else", path);
	unsigned version = 0;
	if (sscanf(text + first, "version %u\n", &version) != 1 || version == 0)
		return store_say(error, error_size, -EBADMSG, "its file '%s' is damaged: the second line should be 'version N'", path);
	ret_format->version = version;
	if (!checksum_matches(text, (size_t)n))
		return store_say(error, error_size, -EBADMSG, "its file '%s' is damaged: the checksum does not match", path);
	if (version > STORE_FORMAT_VERSION)
		return store_say(error, error_size, -ENOTSUP, "it has format version %u, and this dios knows versions up to %u: use the dios that made it, or a newer one", version, STORE_FORMAT_VERSION);
	if (format_parse(text, ret_format) < 0)
		return store_say(error, error_size, -EBADMSG, "its file '%s' is damaged: a line is missing", path);
	return 0;
}

bool format_same(const struct format *a, const struct format *b)
{
	return a->version == b->version && a->node_id == b->node_id && a->made_ns == b->made_ns &&
		memcmp(a->cluster_id, b->cluster_id, sizeof(a->cluster_id)) == 0 && memcmp(a->disk_id, b->disk_id, sizeof(a->disk_id)) == 0;
}

int format_read(struct disk *disk, struct format *ret_format, char *error, size_t error_size)
{
	struct format copy = { 0 };
	char ignored[256];
	int r = format_read_file(disk, "format", ret_format, error, error_size);
	int c = format_read_file(disk, "format.copy", &copy, ignored, sizeof(ignored));
	if (r < 0 && r != -ENOTSUP && c == 0) {
		char why[400];
		snprintf(why, sizeof(why), "%s", error_size > 0 ? error : "");
		return store_say(error, error_size, r == -EINVAL || r == -ENOENT ? -EBADMSG : r, "%s; but its copy, 'format.copy', is whole: 'dios fsck --repair' puts it back", why);
	}
	if (r == 0 && c == 0 && !format_same(ret_format, &copy))
		return store_say(error, error_size, -EBADMSG, "its files 'format' and 'format.copy' are of different data directories: put back what belongs here");
	return r;
}

int format_read_copy(struct disk *disk, struct format *ret_format)
{
	char ignored[256];
	return format_read_file(disk, "format.copy", ret_format, ignored, sizeof(ignored));
}

/* ---- the key ----------------------------------------------------------------------------------------------------- */

#define KEY_TEXT 65u        /* the digits and a newline */
#define KEY_COPY_TEXT 83u   /* with "checksum XXXXXXXX", newline */

static int write_key_copy(struct disk *disk, const char text[KEY_TEXT + 1])
{
	char copy[KEY_COPY_TEXT + 1];
	memcpy(copy, text, KEY_TEXT);
	snprintf(copy + KEY_TEXT, sizeof(copy) - KEY_TEXT, "checksum %08" PRIx32 "\n", crc32c(0, text, KEY_TEXT));
	int r = write_whole(disk, "key.copy", copy, KEY_COPY_TEXT);
	explicit_bzero(copy, sizeof(copy));
	return r;
}

int key_write(struct disk *disk, const uint8_t key[32])
{
	char text[KEY_TEXT + 1];
	hex_write(key, 32, text);
	memcpy(text + 64, "\n", 2);
	int r = write_key_copy(disk, text);
	if (r == 0) r = write_whole(disk, "key", text, KEY_TEXT);
	explicit_bzero(text, sizeof(text));
	return r;
}

int key_read_copy(struct disk *disk, uint8_t ret_key[32])
{
	char text[KEY_COPY_TEXT + 2], want[20];
	int n = read_whole(disk, "key.copy", text, sizeof(text));
	int r = n < 0 ? n : n != (int)KEY_COPY_TEXT ? -EBADMSG : hex_read(text, ret_key, 32);
	if (r == 0) {
		snprintf(want, sizeof(want), "checksum %08" PRIx32 "\n", crc32c(0, text, KEY_TEXT));
		r = memcmp(text + KEY_TEXT, want, KEY_COPY_TEXT - KEY_TEXT) == 0 ? 0 : -EBADMSG;
	}
	explicit_bzero(text, sizeof(text));
	return r;
}

int key_read(struct disk *disk, uint8_t ret_key[32], char *error, size_t error_size)
{
	uint8_t copy[32];
	char text[80];
	int n = read_whole(disk, "key", text, sizeof(text));
	int r = n == (int)KEY_TEXT ? hex_read(text, ret_key, 32) : n < 0 ? n : -EBADMSG;
	explicit_bzero(text, sizeof(text));
	int c = key_read_copy(disk, copy);
	bool differs = c == 0 && (r < 0 || memcmp(copy, ret_key, sizeof(copy)) != 0);
	explicit_bzero(copy, sizeof(copy));
	/* The copy has a checksum, the key has none. */
	if (differs)
		return store_say(error, error_size, -EBADMSG, "its file 'key' is missing or damaged, but its copy, 'key.copy', is whole: 'dios fsck --repair' puts it back");
	return r < 0 ? store_say(error, error_size, r == -ENOENT ? -EBADMSG : r, "its file 'key' is missing or damaged (expected: 64 hexadecimal digits): restore it from a backup; without it no token can be checked") : 0;
}

int format_keep_copies(struct disk *disk, const struct format *f, const uint8_t key[32])
{
	uint8_t copy[32];
	struct format other;
	int r = 0;
	if (format_read_copy(disk, &other) == -ENOENT) r = format_write(disk, f);
	int c = key_read_copy(disk, copy);
	explicit_bzero(copy, sizeof(copy));
	return r == 0 && c == -ENOENT ? key_write(disk, key) : r;
}
