/*
 * alex_options.c - storage parameters of alex indexes.
 */
#include "alex.h"

#include "access/reloptions.h"

typedef struct AlexOptions
{
	int32		vl_len_;		/* varlena header */
	int			fillfactor;
} AlexOptions;

static relopt_kind alex_relopt_kind;

void
alex_register_options(void)
{
	alex_relopt_kind = add_reloption_kind();
	add_int_reloption(alex_relopt_kind, "fillfactor", "Packs alex index pages only to this percentage",
					  ALEX_DEFAULT_FILLFACTOR, ALEX_MIN_FILLFACTOR, 100, ShareUpdateExclusiveLock);
}

bytea *
alexoptions(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"fillfactor", RELOPT_TYPE_INT, offsetof(AlexOptions, fillfactor)},
	};

	return (bytea *) build_reloptions(reloptions, validate, alex_relopt_kind, sizeof(AlexOptions), table,
									  lengthof(table));
}

int
alex_fillfactor(Relation rel)
{
	AlexOptions *options = (AlexOptions *) rel->rd_options;

	return options ? options->fillfactor : ALEX_DEFAULT_FILLFACTOR;
}
