/* The bytes of the staging log, as in docs/DISK_FORMAT.md. No I/O. */
#ifndef DIOS_STORE_STAGE_FORMAT_H
#define DIOS_STORE_STAGE_FORMAT_H

#include "store/stage.h"

#define STAGE_FORMAT_VERSION 1
#define STAGE_HEADER_SIZE 64u        /* bytes of a segment's header; records follow, each after the other */
#define STAGE_RECORD_SIZE 64u        /* bytes of a record's header; its data follows */
#define STAGE_NUMBERS_SIZE 32u       /* bytes of the file of numbers */
#define STAGE_LIVE_SIZE 4096u        /* bytes of a list of live segments */
#define STAGE_LIVE_MAX 1000u         /* segments in one: 8 GB that are in no object, which commits do not let come about */

struct stage_header { uint32_t id; uint8_t boot_id[16]; uint32_t size /* of the file, bytes: it was made so long at once; 0: not told */; uint64_t salt, owner /* struct disk's; 0: not known */; };

void stage_header_encode(const struct stage_header *h, uint8_t out[STAGE_HEADER_SIZE]);
/* 0, -EBADMSG, -ENOTSUP (a newer version), or -ENODATA: wiped, or never written. */
int stage_header_decode(const uint8_t in[STAGE_HEADER_SIZE], struct stage_header *ret_header);
/* All of the record but its place. */
void stage_record_encode(const struct stage_record *record, uint32_t id, uint64_t salt, uint32_t data_size, uint32_t data_crc, uint8_t out[STAGE_RECORD_SIZE]);
/* Bytes to pass over, of zeros, when the next record is looked for: most of a segment was never written. */
size_t stage_skip_zeros(const uint8_t *bytes, size_t size);
/* -EBADMSG: not a record of this life of the segment. The data's checksum is the caller's to compare. */
int stage_record_decode(const uint8_t in[STAGE_RECORD_SIZE], uint32_t id, uint64_t salt, struct stage_record *ret_record, uint32_t *ret_data_size, uint32_t *ret_data_crc);
/* reserved: sequence numbers below it may have been used. boot: what stage_boot_mark makes of the boot that wrote it; 0: not known. */
void stage_numbers_encode(uint64_t reserved, uint64_t boot, uint8_t out[STAGE_NUMBERS_SIZE]);
int stage_numbers_decode(const uint8_t in[STAGE_NUMBERS_SIZE], uint64_t *ret_reserved, uint64_t *ret_boot);
/* start: up to which number the start that wrote it has reserved. count: STAGE_LIVE_MAX + 1: more than are listed. */
struct stage_live { uint64_t start, generation; uint32_t count, ids[STAGE_LIVE_MAX]; };
void stage_live_encode(const struct stage_live *live, uint8_t out[STAGE_LIVE_SIZE]);
int stage_live_decode(const uint8_t in[STAGE_LIVE_SIZE], struct stage_live *ret_live);   /* -EBADMSG, -ENOTSUP */
uint64_t stage_boot_mark(const uint8_t boot_id[16]);   /* never 0 */

#endif
