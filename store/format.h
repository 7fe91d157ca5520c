/* Private to store/: DIR/format and DIR/key, over either disk. */
#ifndef DIOS_STORE_FORMAT_H
#define DIOS_STORE_FORMAT_H

#include "store/store.h"

struct format { uint32_t version; uint8_t cluster_id[16], disk_id[16]; uint64_t node_id; int64_t made_ns; };

int format_write(struct disk *disk, const struct format *format);      /* atomically, and durable */
/* -ENOENT, -EINVAL: not ours, -EBADMSG: damaged, -ENOTSUP: newer (the version is in *ret_format); a sentence in error[]. */
int format_read(struct disk *disk, struct format *ret_format, char *error, size_t error_size);
int key_write(struct disk *disk, const uint8_t key[32]);
int key_read(struct disk *disk, uint8_t ret_key[32], char *error, size_t error_size);
/* A sentence for people and the error, for one line: return say(...) */
int store_say(char *error, size_t error_size, int code, const char *format, ...) _printf_(4, 5);

#endif
