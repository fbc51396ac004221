"""Facts of the format as tables: section numbers are those of the Butler registry format."""

# ruff: noqa: E501 (the names are as long as they are)

SHRUNK = {
    "fkey_collection_summary_dataset_type_collection_collection_id_collection_id": (
        "fkey_collection_summary_dataset_type_collection_collec_4090d073"
    ),
    "fkey_collection_summary_dataset_type_dataset_type_id_dataset_type_id": (
        "fkey_collection_summary_dataset_type_dataset_type_id_d_d646a15d"
    ),
    "fkey_collection_summary_instrument_collection_collection_id_collection_id": (
        "fkey_collection_summary_instrument_collection_collecti_f2cc1228"
    ),
    "fkey_collection_summary_skymap_collection_collection_id_collection_id": (
        "fkey_collection_summary_skymap_collection_collection_i_1a994b14"
    ),
    "fkey_dimension_graph_definition_dimension_graph_key_id_dimension_graph_id": (
        "fkey_dimension_graph_definition_dimension_graph_key_id_9cd15d4b"
    ),
    "fkey_exposure_physical_filter_instrument_name_instrument_physical_filter": (
        "fkey_exposure_physical_filter_instrument_name_instrume_ee4bb371"
    ),
    "fkey_patch_skypix_overlap_patch_skymap_tract_id_skymap_tract_patch": (
        "fkey_patch_skypix_overlap_patch_skymap_tract_id_skymap_82786c4b"
    ),
    "fkey_patch_skypix_overlap_patch_skypix_overlap_summary_skypix_system_skypix_level_skymap_skypix_system_skypix_level_skymap": (
        "fkey_patch_skypix_overlap_patch_skypix_overlap_summary_ab04ec69"
    ),
    "fkey_patch_visit_detector_region_overlap_detector_instrument_id_instrument_detector": (
        "fkey_patch_visit_detector_region_overlap_detector_inst_f4e89931"
    ),
    "fkey_patch_visit_detector_region_overlap_instrument_name_instrument": (
        "fkey_patch_visit_detector_region_overlap_instrument_na_36920ca0"
    ),
    "fkey_patch_visit_detector_region_overlap_patch_skymap_tract_id_skymap_tract_patch": (
        "fkey_patch_visit_detector_region_overlap_patch_skymap__02914020"
    ),
    "fkey_patch_visit_detector_region_overlap_summary_instrument_name_instrument": (
        "fkey_patch_visit_detector_region_overlap_summary_instr_9aa664c0"
    ),
    "fkey_patch_visit_detector_region_overlap_summary_skymap_name_skymap": (
        "fkey_patch_visit_detector_region_overlap_summary_skyma_dfe95551"
    ),
    "fkey_patch_visit_detector_region_overlap_tract_skymap_id_skymap_tract": (
        "fkey_patch_visit_detector_region_overlap_tract_skymap__51fe1155"
    ),
    "fkey_patch_visit_detector_region_overlap_visit_instrument_id_instrument_visit": (
        "fkey_patch_visit_detector_region_overlap_visit_instrum_2ff5193b"
    ),
    "fkey_patch_visit_overlap_patch_skymap_tract_id_skymap_tract_patch": (
        "fkey_patch_visit_overlap_patch_skymap_tract_id_skymap__a1f8b344"
    ),
    "fkey_ssp_balanced_index_ssp_hypothesis_table_name_ssp_hypothesis_table": (
        "fkey_ssp_balanced_index_ssp_hypothesis_table_name_ssp__1a183183"
    ),
    "fkey_ssp_hypothesis_bundle_ssp_hypothesis_table_name_ssp_hypothesis_table": (
        "fkey_ssp_hypothesis_bundle_ssp_hypothesis_table_name_s_0921458b"
    ),
    "fkey_tract_skypix_overlap_tract_skypix_overlap_summary_skypix_system_skypix_level_skymap_skypix_system_skypix_level_skymap": (
        "fkey_tract_skypix_overlap_tract_skypix_overlap_summary_cac6de94"
    ),
    "fkey_tract_visit_detector_region_overlap_detector_instrument_id_instrument_detector": (
        "fkey_tract_visit_detector_region_overlap_detector_inst_d47eea21"
    ),
    "fkey_tract_visit_detector_region_overlap_instrument_name_instrument": (
        "fkey_tract_visit_detector_region_overlap_instrument_na_af5ed66a"
    ),
    "fkey_tract_visit_detector_region_overlap_summary_instrument_name_instrument": (
        "fkey_tract_visit_detector_region_overlap_summary_instr_b03d3aef"
    ),
    "fkey_tract_visit_detector_region_overlap_summary_skymap_name_skymap": (
        "fkey_tract_visit_detector_region_overlap_summary_skyma_54fb2c07"
    ),
    "fkey_tract_visit_detector_region_overlap_tract_skymap_id_skymap_tract": (
        "fkey_tract_visit_detector_region_overlap_tract_skymap__1498a285"
    ),
    "fkey_tract_visit_detector_region_overlap_visit_instrument_id_instrument_visit": (
        "fkey_tract_visit_detector_region_overlap_visit_instrum_01d557eb"
    ),
    "fkey_visit_definition_exposure_instrument_id_instrument_exposure": (
        "fkey_visit_definition_exposure_instrument_id_instrumen_21a4dc77"
    ),
    "fkey_visit_detector_region_detector_instrument_id_instrument_detector": (
        "fkey_visit_detector_region_detector_instrument_id_inst_b49280e5"
    ),
    "fkey_visit_detector_region_skypix_overlap_detector_instrument_id_instrument_detector": (
        "fkey_visit_detector_region_skypix_overlap_detector_ins_ffb1edaf"
    ),
    "fkey_visit_detector_region_skypix_overlap_instrument_name_instrument": (
        "fkey_visit_detector_region_skypix_overlap_instrument_n_f01d5160"
    ),
    "fkey_visit_detector_region_skypix_overlap_summary_instrument_name_instrument": (
        "fkey_visit_detector_region_skypix_overlap_summary_inst_0d402e88"
    ),
    "fkey_visit_detector_region_skypix_overlap_visit_detector_region_skypix_overlap_summary_skypix_system_skypix_level_instrument_skypix_system_skypix_level_instrument": (
        "fkey_visit_detector_region_skypix_overlap_visit_detect_7a87a402"
    ),
    "fkey_visit_detector_region_skypix_overlap_visit_instrument_id_instrument_visit": (
        "fkey_visit_detector_region_skypix_overlap_visit_instru_49438ed0"
    ),
    "fkey_visit_physical_filter_instrument_name_instrument_physical_filter": (
        "fkey_visit_physical_filter_instrument_name_instrument__daee087b"
    ),
    "fkey_visit_skypix_overlap_visit_skypix_overlap_summary_skypix_system_skypix_level_instrument_skypix_system_skypix_level_instrument": (
        "fkey_visit_skypix_overlap_visit_skypix_overlap_summary_6ea1f37d"
    ),
    "fkey_visit_system_membership_visit_instrument_id_instrument_visit": (
        "fkey_visit_system_membership_visit_instrument_id_instr_ba4eaead"
    ),
    "fkey_visit_system_membership_visit_system_instrument_id_instrument_visit_system": (
        "fkey_visit_system_membership_visit_system_instrument_i_09217d0e"
    ),
    "patch_skypix_overlap_idx_skypix_system_skypix_level_skypix_index_skymap_tract_patch": (
        "patch_skypix_overlap_idx_skypix_system_skypix_level_sk_315a3f24"
    ),
    "tract_skypix_overlap_idx_skypix_system_skypix_level_skypix_index_skymap_tract": (
        "tract_skypix_overlap_idx_skypix_system_skypix_level_sk_d7c9328a"
    ),
    "visit_detector_region_skypix_overlap_fkidx_skypix_system_skypix_level_instrument": (
        "visit_detector_region_skypix_overlap_fkidx_skypix_syst_99bc735b"
    ),
    "visit_detector_region_skypix_overlap_idx_skypix_system_skypix_level_skypix_index_instrument_detector_visit": (
        "visit_detector_region_skypix_overlap_idx_skypix_system_d1c79618"
    ),
    "visit_skypix_overlap_fkidx_skypix_system_skypix_level_instrument": (
        "visit_skypix_overlap_fkidx_skypix_system_skypix_level__b1a4e9fd"
    ),
    "visit_skypix_overlap_idx_skypix_system_skypix_level_skypix_index_instrument_visit": (
        "visit_skypix_overlap_idx_skypix_system_skypix_level_sk_b5ba3bab"
    ),
}
"""Names of the newest schema that PostgreSQL cannot hold, and what they become (section 14)."""

REVISIONS: dict[tuple[str, str | None, str | None], str] = {
    ("attributes", None, None): "f0a3531f97ca",
    ("attributes", "DefaultButlerAttributeManager", "0.1.0"): "8f2c2c31aac7",
    ("attributes", "DefaultButlerAttributeManager", "1.0.0"): "f22a777cf382",
    ("attributes", "DefaultButlerAttributeManager", "1.0.1"): "c0e4f9ab4a5d",
    ("collections", None, None): "8d2e9de2f21f",
    ("collections", "NameKeyCollectionManager", "0.1.0"): "a56af31bd899",
    ("collections", "NameKeyCollectionManager", "0.2.0"): "3ce2d3adf1f5",
    ("collections", "NameKeyCollectionManager", "0.3.0"): "e866114194e1",
    ("collections", "NameKeyCollectionManager", "1.0.0"): "5e75e5391603",
    ("collections", "NameKeyCollectionManager", "2.0.0"): "93341d68b814",
    ("collections", "SynthIntKeyCollectionManager", "0.1.0"): "079a1bc77f25",
    ("collections", "SynthIntKeyCollectionManager", "0.2.0"): "1a93ca89bc27",
    ("collections", "SynthIntKeyCollectionManager", "0.3.0"): "b4073b638219",
    ("collections", "SynthIntKeyCollectionManager", "1.0.0"): "97a6aabd8998",
    ("collections", "SynthIntKeyCollectionManager", "2.0.0"): "8c57494cabcc",
    ("datasets", None, None): "059cc7b7ef13",
    ("datasets", "ByDimensionsDatasetRecordStorageManager", "0.1.0"): "eb5a3cc76666",
    ("datasets", "ByDimensionsDatasetRecordStorageManager", "0.2.0"): "38a9414ea7a2",
    ("datasets", "ByDimensionsDatasetRecordStorageManager", "0.3.0"): "576045cb7831",
    ("datasets", "ByDimensionsDatasetRecordStorageManager", "1.0.0"): "635083325f20",
    ("datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "1.0.0"): "2101fbf51ad3",
    ("datasets", "ByDimensionsDatasetRecordStorageManagerUUID", "2.0.0"): "4e2d7a28475b",
    ("datastores", None, None): "6e7967ca2f9c",
    ("datastores", "MonolithicDatastoreRegistryBridgeManager", "0.1.0"): "bb8b5df7ff80",
    ("datastores", "MonolithicDatastoreRegistryBridgeManager", "0.2.0"): "a07b3b60e369",
    ("datastores", "MonolithicDatastoreRegistryBridgeManager", "0.2.1"): "a81dddabd837",
    ("dimensions", None, None): "6166dfbb5324",
    ("dimensions", "StaticDimensionRecordStorageManager", "0.1.0"): "c2671338a42f",
    ("dimensions", "StaticDimensionRecordStorageManager", "0.2.0"): "4f4f243fea82",
    ("dimensions", "StaticDimensionRecordStorageManager", "1.2.0"): "2dea9d903dde",
    ("dimensions", "StaticDimensionRecordStorageManager", "2.2.0"): "36d66ca4d7a3",
    ("dimensions", "StaticDimensionRecordStorageManager", "3.2.0"): "3859eac451aa",
    ("dimensions", "StaticDimensionRecordStorageManager", "4.0.0"): "e45766f0daea",
    ("dimensions", "StaticDimensionRecordStorageManager", "5.0.0"): "a1e0fefed6c7",
    ("dimensions", "StaticDimensionRecordStorageManager", "6.0.0"): "87a30df8c8c5",
    ("dimensions", "StaticDimensionRecordStorageManager", "6.0.1"): "1601d5973bf8",
    ("dimensions", "StaticDimensionRecordStorageManager", "6.0.2"): "035dcf13ef18",
    ("dimensions-config", None, None): "3e2891b82110",
    ("dimensions-config", "daf_butler", "0"): "f3bcee34f344",
    ("dimensions-config", "daf_butler", "1"): "380002bcbb26",
    ("dimensions-config", "daf_butler", "2"): "bf6308af80aa",
    ("dimensions-config", "daf_butler", "3"): "c5ae3a2cd7c2",
    ("dimensions-config", "daf_butler", "4"): "9888256c6a18",
    ("dimensions-config", "daf_butler", "5"): "2a8a32e1bec3",
    ("dimensions-config", "daf_butler", "6"): "1fae088c80b6",
    ("dimensions-config", "daf_butler", "7"): "352c30854bb0",
    ("dimensions-config", "daf_butler", "8"): "aa7a2f893cba",
    ("obscore", None, None): "8b8e030aba2b",
    ("obscore", "ObsCoreLiveTableManager", "0.0.1"): "a0d766f99876",
    ("obscore-config", None, None): "2daeabfb5019",
    ("obscore-config", "embargo", "1"): "4fe28ef5030f",
    ("obscore-config", "daf_butler_obscore", "1"): "a48f69d2f825",
    ("opaque", None, None): "c2c46f409743",
    ("opaque", "ByNameOpaqueTableStorageManager", "0.1.0"): "61f6b63d296d",
    ("opaque", "ByNameOpaqueTableStorageManager", "0.2.0"): "77e5b803ad3f",
    ("dimensions-config-patches", None, None): "8a1a1665cc96",
    ("dimensions-config-patches", "daf_butler", "v6-patch1"): "ffe757e1ab0f",
}
"""Identifiers by component, implementation and version (sections 8.2 and 8.2a)."""

DIGESTS = {
    ("DefaultButlerAttributeManager", "w_2022_23"): (
        "2e744fbce9a64df938160e6c138591db",
        "2e744fbce9a64df938160e6c138591db",
    ),
    ("MonolithicDatastoreRegistryBridgeManager", "w_2022_23"): (
        "ed6beb42e771739849754b5492135f78",
        "47916fe261a5a9ded401f17780f5b749",
    ),
    ("SynthIntKeyCollectionManager", "w_2022_23"): (
        "0eb2502d4bb3c691f19c1d4b5f176ef6",
        "09c760b07887c0701752a1df3a62ee3f",
    ),
    ("StaticDimensionRecordStorageManager", "w_2022_23"): (
        "410e36bdccb2c814a33e7e768c6d3db4",
        "fe23857bbc7344cec0ad8d03d6b6d66e",
    ),
    ("StaticDimensionRecordStorageManager", "w_2022_49"): (
        "56a0bcf16c79f70138cedb77dc1007ed",
        "245c6e652eff26e5540ca2e11a667b22",
    ),
    ("ByNameOpaqueTableStorageManager", "w_2022_23"): (
        "de3bb425d1587c673d1ac3f4014764fa",
        "de3bb425d1587c673d1ac3f4014764fa",
    ),
    ("ByDimensionsDatasetRecordStorageManagerUUID", "w_2022_23"): (
        "eaec5243531ccaa7230fc6b08c8853ca",
        "bb8ca3098b47b0c79ad7bff3a6b44c79",
    ),
}
"""Digests that clients stored, on SQLite and on PostgreSQL, by class and first week (section 15).

The rule changed in week 2022.23; the older ones are not computed any more.
"""

OLD_DIGESTS = {
    ("DefaultButlerAttributeManager", "w_2020_32"): (
        "c08fba8777bcf2e4deaf55d93ac658f7",
        "c08fba8777bcf2e4deaf55d93ac658f7",
    ),
    ("DefaultButlerAttributeManager", "w_2020_39"): (
        "664d6a56d87b5ac890308a91a06cd145",
        "664d6a56d87b5ac890308a91a06cd145",
    ),
    ("MonolithicDatastoreRegistryBridgeManager", "w_2020_32"): (
        "1ed85fc63c1ad756b2b7f427e14b6be6",
        "1ed85fc63c1ad756b2b7f427e14b6be6",
    ),
    ("MonolithicDatastoreRegistryBridgeManager", "w_2020_39"): (
        "da01d0a92dafe1e069ce2cdc408d51ec",
        "da01d0a92dafe1e069ce2cdc408d51ec",
    ),
    ("MonolithicDatastoreRegistryBridgeManager", "w_2021_22"): (
        "3558b84d12fa04082ffd6935e0488922",
        "71d2aa0e9873e78d51808aa5e09c5bea",
    ),
    ("SynthIntKeyCollectionManager", "w_2020_32"): (
        "b8574a529c1679aeaee73c7635148fea",
        "59e2ce2f4dd2a30c0770de4a3ae79a83",
    ),
    ("SynthIntKeyCollectionManager", "w_2020_34"): (
        "567af3110ab4ff1b01df5bd14da0a3ce",
        "f0f299c795966732e4d47cd836c71e94",
    ),
    ("SynthIntKeyCollectionManager", "w_2020_39"): (
        "45cabd84e0b0589733a9db87810b8018",
        "93f1a520daf502be220d46b51bb48823",
    ),
    ("SynthIntKeyCollectionManager", "w_2020_45"): (
        "858915afa265f812f753d7db4e5b575d",
        "6aeb7e1631b39b8158d0850d080de376",
    ),
    ("SynthIntKeyCollectionManager", "w_2020_46"): (
        "1d45208fb4ad1b51bed29321deb787de",
        "4e4bcb15f68e9e7a10cb4b01a0a47ec0",
    ),
    ("ByDimensionsDatasetRecordStorageManager", "w_2020_32"): (
        "e3229fb884252f00fc26b9f39ab15e38",
        "288afd1ab82524461caebc7b3e75909a",
    ),
    ("ByDimensionsDatasetRecordStorageManager", "w_2020_37"): (
        "d7cf7be744976449722121317a8c70b9",
        "562d6c0bdd98cbebfbe4e9dd4b6535be",
    ),
    ("ByDimensionsDatasetRecordStorageManager", "w_2020_39"): (
        "a63e3af3d48ca3c0dcb1d55ebea36266",
        "9f956c6b3fbbbceb269a10ca4b294eaf",
    ),
    ("ByDimensionsDatasetRecordStorageManager", "w_2020_45"): (
        "9cbbe42835190384c9e20669ed40690d",
        "3861ce059f0c708706b753519c4d0d43",
    ),
    ("StaticDimensionRecordStorageManager", "w_2020_32"): (
        "5a7bd241b1939492a982116472b1978b",
        "df66f7f4568d07ab2ed5389d991b33b9",
    ),
    ("StaticDimensionRecordStorageManager", "w_2020_34"): (
        "c902e9ec810ff156052870c1f7fe6939",
        "771a614b01efd68214371afd9db85f0a",
    ),
    ("StaticDimensionRecordStorageManager", "w_2020_39"): (
        "9453820af30d25a212e76a18c450e6b9",
        "880c2c5b516e77600e80ea1b4b1efefa",
    ),
    ("StaticDimensionRecordStorageManager", "w_2020_45"): (
        "83022175a1fbb71edd4f5243a1775146",
        "f98e0c6a8c008e052b78b97c1e546100",
    ),
    ("ByNameOpaqueTableStorageManager", "w_2020_32"): (
        "20483a0eb1df92d7ec2a02bc4f5c430c",
        "20483a0eb1df92d7ec2a02bc4f5c430c",
    ),
    ("ByNameOpaqueTableStorageManager", "w_2020_39"): (
        "79a657af5cf15550e6d1f455ad4dd8c2",
        "79a657af5cf15550e6d1f455ad4dd8c2",
    ),
    ("ByDimensionsDatasetRecordStorageManagerUUID", "w_2021_22"): (
        "338aa9bda15c2dc82ad04ac55e1b56bc",
        "0389bea276b430b9da7330c231a39af7",
    ),
}
"""The same before week 2022.23, when keys counted otherwise."""

OLD_NAME_KEY_DIGESTS = {
    ("w_2020_39", "0.3.0"): "53190d20dd6279fe2c85bcb7854e1462",
    ("w_2020_45", "1.0.0"): "a5e2b0274d5f7efb564614507f8f6c4d",
    ("w_2020_46", "2.0.0"): "a74647422ebf05dfec552de56a49680b",
}
"""Of collections with names as keys, on SQLite, by week and version."""
