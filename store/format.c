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

int format_write(struct disk *disk, const struct format *f)
{
	char cluster[33], disk_id[33], text[FORMAT_MAX];
	hex_write(f->cluster_id, 16, cluster);
	hex_write(f->disk_id, 16, disk_id);
	int n = snprintf(text, sizeof(text), FORMAT_FIRST_LINE "version %" PRIu32 "\ncluster %s\nnode %" PRIu64 "\ndisk %s\nmade %" PRId64 "\n",
		f->version, cluster, f->node_id, disk_id, f->made_ns);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "checksum %08" PRIx32 "\n", crc32c(0, text, (size_t)n));
	return write_whole(disk, "format", text, (size_t)n);
}

static int format_parse(const char *text, size_t size, struct format *f)
{
	const char *check = strstr(text, "\nchecksum "), *cluster = strstr(text, "\ncluster "), *disk_id = strstr(text, "\ndisk ");
	const char *node = strstr(text, "\nnode "), *made = strstr(text, "\nmade ");
	uint8_t crc[4];
	if (!check || !cluster || !disk_id || !node || !made || strlen(text) != size) return -EBADMSG;
	if (hex_read(check + 10, crc, 4) < 0 || check + 10 + 8 + 1 != text + size) return -EBADMSG;
	uint32_t want = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3];
	if (crc32c(0, text, (size_t)(check + 1 - text)) != want) return -EBADMSG;
	if (hex_read(cluster + 9, f->cluster_id, 16) < 0 || hex_read(disk_id + 6, f->disk_id, 16) < 0) return -EBADMSG;
	f->node_id = strtoull(node + 6, NULL, 10);
	f->made_ns = strtoll(made + 6, NULL, 10);
	return f->node_id == 0 ? -EBADMSG : 0;
}

int format_read(struct disk *disk, struct format *ret_format, char *error, size_t error_size)
{
	char text[FORMAT_MAX];
	int n = read_whole(disk, "format", text, sizeof(text));
	if (n == -ENOENT) return store_say(error, error_size, -ENOENT, "there is no file 'format' in it: not a dios data directory, or one whose making was interrupted ('dios init' makes one)");
	if (n < 0 && n != -EFBIG) return store_say(error, error_size, n, "its file 'format' cannot be read: %s", strerror(-n));
	size_t first = strlen(FORMAT_FIRST_LINE);
	if (n == -EFBIG || (size_t)n < first || memcmp(text, FORMAT_FIRST_LINE, first) != 0)
		return store_say(error, error_size, -EINVAL, "its file 'format' does not begin with 'dios data directory': it belongs to something else");
	unsigned version = 0;
	if (sscanf(text + first, "version %u\n", &version) != 1 || version == 0)
		return store_say(error, error_size, -EBADMSG, "its file 'format' is damaged: the second line should be 'version N'");
	ret_format->version = version;
	if (version > STORE_FORMAT_VERSION)
		return store_say(error, error_size, -ENOTSUP, "it has format version %u, and this dios knows versions up to %u: use the dios that made it, or a newer one", version, STORE_FORMAT_VERSION);
	if (format_parse(text, (size_t)n, ret_format) < 0)
		return store_say(error, error_size, -EBADMSG, "its file 'format' is damaged: the checksum does not match, or a line is missing");
	return 0;
}

int key_write(struct disk *disk, const uint8_t key[32])
{
	char text[66];
	hex_write(key, 32, text);
	text[64] = '\n';
	int r = write_whole(disk, "key", text, 65);
	explicit_bzero(text, sizeof(text));
	return r;
}

int key_read(struct disk *disk, uint8_t ret_key[32], char *error, size_t error_size)
{
	char text[80];
	int n = read_whole(disk, "key", text, sizeof(text));
	int r = n == 65 ? hex_read(text, ret_key, 32) : n < 0 ? n : -EBADMSG;
	explicit_bzero(text, sizeof(text));
	return r < 0 ? store_say(error, error_size, r == -ENOENT ? -EBADMSG : r, "its file 'key' is missing or damaged (expected: 64 hexadecimal digits): restore it from a backup; without it no token can be checked") : 0;
}
