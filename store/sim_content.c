/* The bytes of one simulated file: what programs see, and what the platter has. Each unsynced sector is kept or lost for
 * itself when the power goes; a sector that is overwritten before a sync may have reached the platter in between. */
#include <assert.h>
#include <string.h>

#include "store/sim.h"

static const uint8_t zeros[SIM_PAGE];

void sim_content_init(struct sim_content *c, struct random_source *random, uint64_t *used_pages)
{
	*c = (struct sim_content){ .random = random, .used_pages = used_pages };
}

static void page_set_allocated(struct sim_content *c, struct sim_page *p, bool allocated)
{
	uint64_t change = p->allocated == allocated ? 0 : allocated ? 1 : (uint64_t)-1;

	c->allocated_pages += change;
	if (!c->uncounted)
		*c->used_pages += change;
	p->allocated = allocated;
}

void sim_content_count(struct sim_content *c, bool counted)
{
	if (counted == !c->uncounted)
		return;
	*c->used_pages += counted ? c->allocated_pages : -c->allocated_pages;
	c->uncounted = !counted;
}

void sim_content_done(struct sim_content *c)
{
	for (size_t i = 0; i < c->chunk_count; i++) {
		for (size_t k = 0; c->chunks[i] && k < SIM_CHUNK_PAGES; k++) {
			page_set_allocated(c, &c->chunks[i]->pages[k], false);
			free(c->chunks[i]->pages[k].now);
			free(c->chunks[i]->pages[k].durable);
		}
		free(c->chunks[i]);
	}
	free(c->chunks);
	c->chunks = NULL;
	c->chunk_count = 0;
}

static struct sim_page *page_find(const struct sim_content *c, uint64_t page)
{
	uint64_t chunk = page / SIM_CHUNK_PAGES;

	return chunk < c->chunk_count && c->chunks[chunk] ? &c->chunks[chunk]->pages[page % SIM_CHUNK_PAGES] : NULL;
}

static struct sim_page *page_make(struct sim_content *c, uint64_t page)
{
	uint64_t chunk = page / SIM_CHUNK_PAGES;

	if (chunk >= c->chunk_count) {
		struct sim_chunk **chunks = realloc(c->chunks, (chunk + 1) * sizeof(*chunks));
		if (!chunks)
			return NULL;
		memset(chunks + c->chunk_count, 0, (chunk + 1 - c->chunk_count) * sizeof(*chunks));
		c->chunks = chunks;
		c->chunk_count = chunk + 1;
	}
	if (!c->chunks[chunk])
		c->chunks[chunk] = calloc(1, sizeof(struct sim_chunk));
	return c->chunks[chunk] ? &c->chunks[chunk]->pages[page % SIM_CHUNK_PAGES] : NULL;
}

/* Sets a run of bytes of one of the page's two images. */
static int image_set(uint8_t **image, const uint8_t *data, size_t size, size_t at)
{
	if (!*image && memcmp(data, zeros, size) == 0)
		return 0;
	if (!*image && !(*image = calloc(1, SIM_PAGE)))
		return -ENOMEM;
	memcpy(*image + at, data, size);
	return 0;
}

static const uint8_t *image_at(const uint8_t *image, size_t at)
{
	return image ? image + at : zeros;
}

/* From here on the page's platter image is separate. */
static int page_part(struct sim_page *p)
{
	if (p->differs)
		return 0;
	if (p->now) {
		p->durable = malloc(SIM_PAGE);
		if (!p->durable)
			return -ENOMEM;
		memcpy(p->durable, p->now, SIM_PAGE);
	}
	p->differs = true;
	return 0;
}

static void page_join(struct sim_page *p)
{
	if (p->dirty | p->lost)
		return;
	free(p->durable);
	p->durable = NULL;
	p->differs = false;
}

static int page_write(struct sim_content *c, struct sim_page *p, const uint8_t *data, size_t size, size_t at)
{
	int r = page_part(p);

	for (size_t s = at / SIM_SECTOR; r == 0 && s <= (at + size - 1) / SIM_SECTOR; s++) {
		uint8_t bit = (uint8_t)(1u << s);
		if (p->dirty & bit && !(p->cut & bit) && random_below(c->random, 4) == 0)
			r = image_set(&p->durable, image_at(p->now, s * SIM_SECTOR), SIM_SECTOR, s * SIM_SECTOR);
		p->dirty |= bit;
		p->lost &= (uint8_t)~bit;
		p->cut &= (uint8_t)~bit;
	}
	return r ? r : image_set(&p->now, data, size, at);
}

int sim_content_read(const struct sim_content *c, uint8_t *data, size_t size, uint64_t offset)
{
	while (size > 0) {
		size_t at = offset % SIM_PAGE, n = SIM_PAGE - at < size ? SIM_PAGE - at : size;
		const struct sim_page *p = page_find(c, offset / SIM_PAGE);
		memcpy(data, image_at(p ? p->now : NULL, at), n);
		data += n;
		size -= n;
		offset += n;
	}
	return 0;
}

uint64_t sim_content_seek(const struct sim_content *c, uint64_t offset, bool hole)
{
	for (; offset < c->size; offset = (offset / SIM_PAGE + 1) * SIM_PAGE) {
		const struct sim_page *p = page_find(c, offset / SIM_PAGE);
		if ((p && p->allocated) != hole)
			break;
	}
	return offset < c->size ? offset : c->size;
}

int sim_content_allocate(struct sim_content *c, uint64_t offset, uint64_t size, uint64_t room)
{
	uint64_t first = offset / SIM_PAGE, end = size ? (offset + size - 1) / SIM_PAGE + 1 : first, needed = 0;

	for (uint64_t i = first; i < end; i++) {
		const struct sim_page *p = page_find(c, i);
		needed += !p || !p->allocated;
	}
	if (needed > room)
		return -ENOSPC;
	for (uint64_t i = first; i < end; i++) {
		struct sim_page *p = page_make(c, i);
		if (!p)
			return -ENOMEM;
		page_set_allocated(c, p, true);
	}
	return 0;
}

static void content_resize(struct sim_content *c, uint64_t size)
{
	if (size == c->size)
		return;
	/* A file that grows step by step may be caught at any step. */
	if (c->size_dirty && c->size > c->durable_size && random_below(c->random, 4) == 0)
		c->durable_size = c->size;
	c->size = size;
	c->size_dirty = true;
	c->size_lost = false;
}

int sim_content_write(struct sim_content *c, const uint8_t *data, size_t size, uint64_t offset, uint64_t room)
{
	int r = 0;

	while (r == 0 && size > 0) {
		size_t at = offset % SIM_PAGE, n = SIM_PAGE - at < size ? SIM_PAGE - at : size;
		struct sim_page *p = page_make(c, offset / SIM_PAGE);
		if (!p)
			return -ENOMEM;
		if (!p->allocated && room-- == 0)
			return -ENOSPC;
		page_set_allocated(c, p, true);
		r = page_write(c, p, data, n, at);
		data += n;
		size -= n;
		offset += n;
		if (r == 0 && offset > c->size)
			content_resize(c, offset);
	}
	return r;
}

int sim_content_punch(struct sim_content *c, uint64_t offset, uint64_t size)
{
	int r = 0;

	while (r == 0 && size > 0) {
		size_t at = offset % SIM_PAGE;
		uint64_t n = SIM_PAGE - at < size ? SIM_PAGE - at : size;
		struct sim_page *p = page_find(c, offset / SIM_PAGE);
		if (p)
			r = page_write(c, p, zeros, n, at);
		if (p && n == SIM_PAGE)
			page_set_allocated(c, p, false);
		size -= n;
		offset += n;
		if (offset / SIM_PAGE >= c->chunk_count * (uint64_t)SIM_CHUNK_PAGES)
			break;
	}
	return r;
}

int sim_content_truncate(struct sim_content *c, uint64_t size)
{
	uint64_t old = c->size, end = c->chunk_count * (uint64_t)SIM_CHUNK_PAGES;
	int r = 0;

	if (size < old && size % SIM_SECTOR) {
		uint64_t next = (size / SIM_SECTOR + 1) * SIM_SECTOR;
		r = sim_content_punch(c, size, (next < old ? next : old) - size);
	}
	for (uint64_t i = size / SIM_PAGE; r == 0 && size < old && i < end; i++) {
		struct sim_page *p = page_find(c, i);
		if (!p) {
			i += SIM_CHUNK_PAGES - i % SIM_CHUNK_PAGES - 1;
			continue;
		}
		r = page_part(p);
		for (size_t s = 0; r == 0 && s < SIM_PAGE_SECTORS; s++) {
			if (i * SIM_PAGE + s * SIM_SECTOR < size)
				continue;
			r = image_set(&p->now, zeros, SIM_SECTOR, s * SIM_SECTOR);
			p->dirty |= (uint8_t)(1u << s);
			p->cut |= (uint8_t)(1u << s);
			p->lost &= (uint8_t)~(1u << s);
		}
		if (i * SIM_PAGE >= size)
			page_set_allocated(c, p, false);
	}
	if (r == 0)
		content_resize(c, size);
	return r;
}

int sim_content_copy(const struct sim_content *from, struct sim_content *to, uint64_t room)
{
	int r = sim_content_truncate(to, 0);

	for (uint64_t i = 0; r == 0 && i < from->chunk_count * (uint64_t)SIM_CHUNK_PAGES; i++) {
		const struct sim_page *p = page_find(from, i);
		uint64_t used = *to->used_pages;
		if (!p || !p->allocated || i * SIM_PAGE >= from->size)
			continue;
		r = sim_content_write(to, image_at(p->now, 0), SIM_PAGE, i * SIM_PAGE, room);
		room -= *to->used_pages - used;
	}
	return r ? r : sim_content_truncate(to, from->size);
}

static int page_sync(struct sim_page *p)
{
	for (size_t s = 0; s < SIM_PAGE_SECTORS; s++)
		if (p->dirty & 1u << s && image_set(&p->durable, image_at(p->now, s * SIM_SECTOR), SIM_SECTOR, s * SIM_SECTOR) < 0)
			abort();   /* a simulation without memory can't go on */
	p->dirty = p->cut = 0;
	page_join(p);
	return 0;
}

#define each_page(c, p) \
	for (size_t _i = 0; _i < (c)->chunk_count; _i++) \
		for (struct sim_page *p = (c)->chunks[_i] ? (c)->chunks[_i]->pages : NULL, *_end = p ? p + SIM_CHUNK_PAGES : NULL; p != _end; p++)

void sim_content_sync(struct sim_content *c)
{
	each_page(c, p)
		if (p->dirty)
			page_sync(p);
	if (!c->size_lost)
		c->durable_size = c->size;
	c->size_dirty = false;
}

void sim_content_fail_sync(struct sim_content *c)
{
	each_page(c, p) {
		p->lost |= p->dirty;
		p->dirty = p->cut = 0;
	}
	c->size_lost |= c->size_dirty;
	c->size_dirty = false;
}

static void page_revert(struct sim_page *p, uint8_t sectors)
{
	for (size_t s = 0; s < SIM_PAGE_SECTORS; s++)
		if (sectors & 1u << s && image_set(&p->now, image_at(p->durable, s * SIM_SECTOR), SIM_SECTOR, s * SIM_SECTOR) < 0)
			abort();
}

void sim_content_drop_cache(struct sim_content *c, uint64_t offset, uint64_t size)
{
	for (uint64_t i = offset / SIM_PAGE; size && i <= (offset + size - 1) / SIM_PAGE && i < c->chunk_count * (uint64_t)SIM_CHUNK_PAGES; i++) {
		struct sim_page *p = page_find(c, i);
		if (!p || !p->lost || p->dirty)
			continue;
		page_revert(p, p->lost);
		p->lost = 0;
		page_join(p);
	}
}

void sim_content_power_cut(struct sim_content *c)
{
	bool size_kept = c->size_dirty && !c->size_lost && random_below(c->random, 2) == 0;

	each_page(c, p) {
		uint8_t back = p->lost;
		if (!(p->dirty | p->lost))
			continue;
		for (size_t s = 0; s < SIM_PAGE_SECTORS; s++) {
			uint8_t bit = (uint8_t)(1u << s);
			if (p->cut & bit ? !size_kept : p->dirty & bit && random_below(c->random, 2) == 0)
				back |= bit;
		}
		page_revert(p, back);
		if (p->now && memcmp(p->now, zeros, SIM_PAGE) != 0)
			page_set_allocated(c, p, true);   /* a hole that was not synced has its bytes back */
		p->dirty = p->lost = p->cut = 0;
		page_join(p);
	}
	if (!size_kept)
		c->size = c->durable_size;
	c->durable_size = c->size;
	c->size_dirty = c->size_lost = false;
	/* Nothing shows beyond the end, should the file grow again. */
	for (uint64_t i = c->size / SIM_PAGE; i < c->chunk_count * (uint64_t)SIM_CHUNK_PAGES; i++) {
		struct sim_page *p = page_find(c, i);
		size_t at = i == c->size / SIM_PAGE ? c->size % SIM_PAGE : 0;
		if (p && p->now)
			memset(p->now + at, 0, SIM_PAGE - at);
		if (p && at == 0)
			page_set_allocated(c, p, false);
	}
}

void sim_content_flip(struct sim_content *c, uint64_t bit)
{
	struct sim_page *p = page_make(c, bit / 8 / SIM_PAGE);
	size_t at = bit / 8 % SIM_PAGE;
	uint8_t now, durable;

	if (!p)
		abort();
	now = *image_at(p->now, at) ^ (uint8_t)(1u << bit % 8);
	durable = *image_at(p->durable, at) ^ (uint8_t)(1u << bit % 8);
	if (image_set(&p->now, &now, 1, at) < 0 || (p->differs && image_set(&p->durable, &durable, 1, at) < 0))
		abort();
}
