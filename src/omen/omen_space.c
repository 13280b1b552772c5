/*
 * omen_space.c - which bytes of a row page are in use, and where there is room.
 *
 * Nothing on the page says what is garbage: it follows from the rows' chains and the horizon (README, "When bytes may be overwritten"). Whoever
 * overwrites it cuts the links that lead there.
 */
#include "omen.h"

#include "access/transam.h"

#include "omen_private.h"

static inline void
add_span(OmenPageMap *map, char *item, Page page, Size length)
{
	map->spans[map->nspans].offset = item - (char *) page;
	map->spans[map->nspans].length = MAXALIGN(length);
	map->used += MAXALIGN(length);
	map->nspans++;
}

static int
compare_spans(const void *a, const void *b)
{
	return (int) *(const uint16 *) a - (int) *(const uint16 *) b;
}

void
omen_map_page(Relation rel, Buffer buffer, struct GlobalVisState *vistest, OmenPageMap *map)
{
	Page		page = BufferGetPage(buffer);
	BlockNumber block = BufferGetBlockNumber(buffer);
	OffsetNumber max = PageGetMaxOffsetNumber(page);

	map->nspans = map->nolder = map->ncut = 0;
	map->used = 0;
	map->conflict = InvalidTransactionId;

	/* backwards: items are laid down from the end of the page, so this is nearly in their order already */
	for (OffsetNumber offnum = max; offnum >= FirstOffsetNumber; offnum--)
	{
		ItemId		lp = PageGetItemId(page, offnum);
		OmenLink	link;
		OmenVersion version;

		if (!ItemIdIsNormal(lp))
			continue;
		if (map->nspans == lengthof(map->spans))
			omen_corrupted(rel, block, offnum, "the page has more versions than it has room for");
		add_span(map, (char *) PageGetItem(page, lp), page, ItemIdGetLength(lp));

		/* versions in the store take no room here, and whatever is behind them is in the store, too */
		memcpy(&link, (char *) PageGetItem(page, lp) + ItemIdGetLength(lp) - OMEN_LINK_SIZE, OMEN_LINK_SIZE);
		if (link.offset == 0 || link.block != InvalidBlockNumber)
			continue;

		omen_head(rel, buffer, offnum, &version);
		while (version.link.offset != 0 && version.link.block == InvalidBlockNumber)
		{
			if (!omen_older_needed(version.tuple.t_data, vistest))
			{
				TransactionId xmin = HeapTupleHeaderGetXmin(version.tuple.t_data);

				if (TransactionIdIsNormal(xmin) &&
					(!TransactionIdIsValid(map->conflict) || TransactionIdFollows(xmin, map->conflict)))
					map->conflict = xmin;
				map->cut[map->ncut++] = (char *) version.tuple.t_data - (char *) page + version.tuple.t_len;
				break;
			}
			omen_older(rel, buffer, &version);
			if (map->nspans == lengthof(map->spans))
				omen_corrupted(rel, block, offnum, "the page has more versions than it has room for");
			add_span(map, (char *) version.tuple.t_data, page, version.tuple.t_len + OMEN_LINK_SIZE);
			map->nolder++;
		}
	}
	qsort(map->spans, map->nspans, sizeof(map->spans[0]), compare_spans);
}

int
omen_count_behind(Page page, const char *at)
{
	OmenLink	link;
	int			n = 0;

	memcpy(&link, at, OMEN_LINK_SIZE);
	while (link.block == InvalidBlockNumber && omen_link_fits(link, SizeOfPageHeaderData, OMEN_ROWS_END) &&
		   n < (int) (BLCKSZ / OMEN_MIN_ITEM))
	{
		n++;
		memcpy(&link, (char *) page + link.offset + link.length - OMEN_LINK_SIZE, OMEN_LINK_SIZE);
	}
	return n;
}

/*
 * The page whose rows were replaced last in the room they had, when it had no other: updates of all rows of a full page come one after the other.
 * Nothing has changed there as long as its LSN has not.
 */
static struct
{
	CompatLocator file;
	BlockNumber block;
	XLogRecPtr	lsn;
	Size		room;
} full = {.block = InvalidBlockNumber};

bool
omen_known_room(Relation rel, Buffer buffer, Size *room)
{
	if (full.block != BufferGetBlockNumber(buffer) || full.lsn != PageGetLSN(BufferGetPage(buffer)) ||
		!CompatLocatorEquals(full.file, compat_locator(rel)) || !RelationNeedsWAL(rel))
		return false;
	*room = full.room;
	return true;
}

void
omen_note_room(Relation rel, Buffer buffer, Size room)
{
	full.file = compat_locator(rel);
	full.block = BufferGetBlockNumber(buffer);
	full.lsn = PageGetLSN(BufferGetPage(buffer));
	full.room = room;
}

uint16
omen_find_gap(Page page, const OmenPageMap *map, Size length)
{
	Size		free_from = ((PageHeader) page)->pd_upper;

	length = MAXALIGN(length);
	for (int i = 0; i < map->nspans; i++)
	{
		if (map->spans[i].offset >= free_from + length)
			return free_from;
		free_from = map->spans[i].offset + map->spans[i].length;
	}
	return OMEN_ROWS_END >= free_from + length ? free_from : 0;
}
