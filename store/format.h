/* The format file and the key: see docs/DISK_FORMAT.md. Each has a copy beside it, format.copy and key.copy, so that damage to one is known
 * and can be mended. The sentence in error[] is for people. */
#ifndef DIOS_STORE_FORMAT_H
#define DIOS_STORE_FORMAT_H

#include "store/store.h"

struct format { uint32_t version; uint8_t cluster_id[16], disk_id[16]; uint64_t node_id; int64_t made_ns; };

uint64_t format_owner(const struct format *f);                   /* what struct disk wants as owner; never 0 */
int format_write(struct disk *disk, const struct format *f);     /* synced, all or nothing; the copy first */
/* -ENOENT; -EINVAL: not a dios format file; -ENOTSUP: a newer version; -EBADMSG: damaged, or file and copy are of different directories. */
int format_read(struct disk *disk, struct format *ret_format, char *error, size_t error_size);
int format_read_file(struct disk *disk, const char *path, struct format *ret_format, char *error, size_t error_size);   /* one of the two alone */
bool format_same(const struct format *a, const struct format *b);
int format_read_copy(struct disk *disk, struct format *ret_format);   /* the same errors */
int key_write(struct disk *disk, const uint8_t key[32]);              /* the same way */
int key_read(struct disk *disk, uint8_t ret_key[32], char *error, size_t error_size);   /* -EBADMSG: missing or damaged */
int key_read_copy(struct disk *disk, uint8_t ret_key[32]);            /* -ENOENT, -EBADMSG */
/* Makes the copies that are missing, as in a directory of an earlier version. */
int format_keep_copies(struct disk *disk, const struct format *f, const uint8_t key[32]);
/* Puts a sentence for people into error[] and returns the code. */
int store_say(char *error, size_t error_size, int code, const char *format, ...) _printf_(4, 5);

#endif
