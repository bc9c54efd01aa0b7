"""The classes and functions that a model's configuration may name: all of them compute with tensors and do no more.

Left out on purpose: ``Lambda`` (carries bytecode), ``TFSMLayer`` (loads another file), ``TorchModuleWrapper``
(unpickles), ``JaxLayer`` and ``FlaxLayer`` (carry functions), the cell wrappers of Keras 2 (carry bytecode).
A test compares these lists with the installed Kerases, so that a new layer class is not forgotten.
"""

from kerasbn_export.graph.pure_operations import names_in

LAYERS = names_in(
    """
    AbstractRNNCell Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AddLoss AddMetric
    AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D AveragePooling2D
    AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BaseRandomLayer BatchNormalization BatchNormalizationBase
    BatchNormalizationV1 BatchNormalizationV2 Bidirectional CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D
    Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose Convolution2D
    Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CuDNNGRU CuDNNLSTM
    CustomScaleLayer CutMix Dense DenseFeatures DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout
    DynamicEmbedding DynamicLookup ELU EinsumDense Embedding Equalization Flatten Functional GRU GRUCell GRUCellV1
    GRUCellV2 GRUV1 GRUV2 GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D
    GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention
    HashedCrossing Hashing InputLayer IntegerLookup LSTM LSTMCell LSTMCellV1 LSTMCellV2 LSTMV1 LSTMV2 Layer
    LayerNormalization LayerScale LeakyReLU LinearModel LocallyConnected1D LocallyConnected2D Masking
    MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram
    Minimum MixUp Model MultiHeadAttention Multiply Normalization PReLU PeepholeLSTMCell Permute Pipeline
    PreprocessingLayer RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter
    RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomFourierFeatures
    RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective RandomPosterization
    RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom ReLU
    RepeatVector Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D
    SeparableConvolution1D SeparableConvolution2D SequenceFeatures Sequential SharpnessAwareMinimization SimpleRNN
    SimpleRNNCell Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization
    StackedRNNCells StochasticDepth StringLookup Subtract SyncBatchNormalization TextVectorization ThresholdedReLU
    TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D WideDeepModel Wrapper ZeroPadding1D
    ZeroPadding2D ZeroPadding3D
    """
)
"""Layers, models and recurrent cells, and the names that older versions gave them."""
PARTS = names_in(
    """
    AWQConfig AWQDTypePolicy AbsMaxQuantizer Constant Constraint DTypePolicy DTypePolicyMap Float8QuantizationConfig
    FloatDTypePolicy GPTQConfig GPTQDTypePolicy GlorotNormal GlorotUniform HeNormal HeUniform Identity
    IdentityInitializer Initializer Int4DTypePolicy Int4QuantizationConfig Int8QuantizationConfig L1 L1L2 L2
    LecunNormal LecunUniform LossScaleOptimizer MaxNorm MinMaxNorm NonNeg Ones Orthogonal OrthogonalInitializer
    OrthogonalRegularizer Policy PolicyV1 QuantizationConfig QuantizedDTypePolicy QuantizedFloat8DTypePolicy
    Quantizer RadialConstraint RandomNormal RandomUniform Regularizer STFT STFTInitializer SeedGenerator
    TruncatedNormal UnitNorm VarianceScaling Zeros constant glorot_normal glorot_uniform he_normal he_uniform
    identity l1 l1_l2 l2 lecun_normal lecun_uniform max_norm min_max_norm non_neg ones orthogonal
    orthogonal_regularizer radial_constraint random_normal random_uniform stft truncated_normal unit_norm
    variance_scaling zeros
    """
)
"""Initializers, regularizers, constraints, dtype policies, quantizers and seeds."""
TENSORFLOW_INITIALIZERS = frozenset({"tensorflow.python.ops.init_ops", "tensorflow.python.ops.init_ops_v2"})
"""The modules of TensorFlow's own initializers, as ``tf.constant_initializer``, which have the names of Keras'."""
TRAINING = names_in(
    """
    AUC Accuracy Adadelta Adafactor Adagrad Adam AdamW Adamax BinaryAccuracy BinaryFocalCrossentropy BinaryIoU CTC
    CategoricalAccuracy CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge Circle
    ConcordanceCorrelation CosineDecay CosineDecayRestarts CosineSimilarity Dice ExponentialDecay F1Score FBetaScore
    FalseNegatives FalsePositives Ftrl Hinge Huber InverseTimeDecay IoU KLDivergence Lamb LearningRateSchedule Lion
    LogCosh LogCoshError Loss MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper
    MeanRelativeError MeanSquaredError MeanSquaredLogarithmicError MeanTensor Metric MultiOptimizer Muon Nadam
    OneHotIoU OneHotMeanIoU Optimizer OptimizerMap PearsonCorrelation PiecewiseConstantDecay Poisson PolynomialDecay
    Precision PrecisionAtRecall R2Score RMSprop Recall RecallAtPrecision RootMeanSquaredError SGD ScheduleFreeAdamW
    SensitivityAtSpecificity SparseCategoricalAccuracy SparseTopKCategoricalAccuracy SpecificityAtSensitivity
    SquaredHinge TopKCategoricalAccuracy TrueNegatives TruePositives Tversky
    """
)
"""Optimizers, losses, metrics and schedules, which a compiled model inside a model keeps."""
CARRIERS = names_in(
    """
    DeviceWrapper DropoutWrapper FlaxLayer JaxLayer Lambda ResidualWrapper TFSMLayer TorchModuleWrapper
    _RNNCellWrapper
    """
)
"""Layers that carry code or load another file: never a user's own class of the same name."""
OPERATIONS = names_in(
    """
    Abs Absolute AdaptiveAveragePool AdaptiveMaxPool AffineTransform All AllClose Amax Amin Angle Any Append Arange
    Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit
    AssociativeScan AveragePool BatchNorm BinaryCrossentropy Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift
    BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo CDist CTCDecode CTCLoss Cast
    CategoricalCrossentropy Cbrt Ceil Celu Cholesky CholeskyInverse Clip Cond Conj Conjugate Conv ConvTranspose
    ConvertToTensor Copy Corrcoef Correlate Cos Cosh CountNonzero CropImages Cross Cumprod Cumsum Deg2rad
    DepthToSpace DepthwiseConv Det Diag Diagflat Diagonal Diff Digitize Divide DivideNoNan DotProductAttention
    Dsplit Dstack Eig Eigh Einsum ElasticTransform Elu EmptyLike Equal Erf Erfc Erfinv Exp Exp2 ExpandDims Expm1
    ExtractPatches ExtractSequences FFT FFT2 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod Fold ForiLoop
    Full FullLike GaussianBlur Gcd Gelu Geomspace GetItem Glu Greater GreaterEqual HSVToRGB HardShrink HardSigmoid
    HardSilu HardTanh Heaviside Histogram Hsplit Hstack Hypot I0 IFFT2 IRFFT ISTFT Imag InTopK Inner Inv IsIn
    Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal JVP Kron LayerNorm Lcm Ldexp LeakyRelu LeftShift Less
    LessEqual Linspace Log Log10 Log1p Log2 LogSigmoid LogSoftmax Logaddexp Logaddexp2 Logdet LogicalAnd LogicalNot
    LogicalOr LogicalXor Logspace Logsumexp Lstsq LuFactor Map MapCoordinates Matmul MatrixRank Max MaxPool Mean
    Median Meshgrid Min Mod Moments Moveaxis MultiHot NanToNum Nanargmax Nanargmin Nancumprod Nancumsum Nanmax
    Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative Nextafter Nonzero
    Norm Normalize NotEqual OneHot OnesLike Outer PSNR Pad PadImages Percentile PerspectiveTransform Pinv Polar
    Power Prod Ptp Qr Quantile RFFT RGBToGrayscale RGBToHSV RMSNorm Rad2deg Ravel Real Rearrange Reciprocal Relu
    Relu6 Repeat Resize RightShift Roll Rot90 Round Rsqrt SSIM SVD SaturateCast ScaleAndTranslate Scan Scatter
    ScatterUpdate SearchSorted SegmentMax SegmentMin SegmentProd SegmentReduction SegmentSum Select Selu
    SeparableConv Sigmoid Sign Signbit Silu Sin Sinc Sinh Size Slice SliceUpdate Slogdet SobelEdges SoftShrink
    Softplus Softsign Solve SolveTriangular Sort SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid
    Sparsemax Split Sqrt Square Squareplus Squeeze Stack Std StopGradient Sum Swapaxes Switch Take TakeAlongAxis Tan
    Tanh TanhShrink Tensordot Threshold Tile TopK Trace Transpose Trapezoid Tril Triu TrueDivide Trunc Unfold Unique
    UnravelIndex Unstack Vander Var Vdot VectorizedMap View ViewAsComplex ViewAsReal Vsplit Vstack Where WhileLoop
    ZerosLike
    """
)
"""The operations of ``keras.ops`` as Keras 3 writes them into the configuration of a functional model."""
COLUMNS = names_in(
    """
    BucketizedColumn CrossedColumn EmbeddingColumn HashedCategoricalColumn IdentityCategoricalColumn IndicatorColumn
    NumericColumn SequenceCategoricalColumn SequenceNumericColumn SharedEmbeddingColumn
    VocabularyListCategoricalColumn WeightedCategoricalColumn
    """
)
"""Feature columns of ``DenseFeatures``, without those that read a file."""
VALUES = names_in(
    """
    CompositeTensor TensorShape TypeSpec __bytes__ __ellipsis__ __keras_tensor__ __numpy__ __slice__ __tensor__
    __tuple__
    """
)
"""Values that JSON cannot hold."""
TYPE_SPECS = frozenset(
    {
        ("tensorflow.python.framework.tensor", "TensorSpec"),
        ("tensorflow.python.framework.tensor_spec", "TensorSpec"),
        ("tensorflow.python.framework.sparse_tensor", "SparseTensorSpec"),
        ("tensorflow.python.framework.indexed_slices", "IndexedSlicesSpec"),
        ("tensorflow.python.ops.ragged.ragged_tensor", "RaggedTensorSpec"),
    }
)
"""The modules and names of the types that an input may have."""
ACTIVATIONS = names_in(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
    sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold
    """
)
FUNCTIONS = names_in(
    """
    KLD MAE MAPE MSE MSLE abs absolute adaptive_average_pool adaptive_max_pool add affine_transform all allclose
    amax amin angle any append arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin
    argpartition argsort array array_split average average_pool bartlett batch_normalization binary_accuracy
    binary_crossentropy binary_focal_crossentropy bincount bitwise_and bitwise_invert bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor blackman broadcast_to cast categorical_accuracy
    categorical_crossentropy categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge
    cbrt cdist ceil cholesky cholesky_inverse circle clip concatenate concordance_correlation conj conjugate conv
    conv_transpose convert_to_tensor copy corrcoef correlate cos cosh cosine_similarity count_nonzero crop_images
    cross ctc ctc_decode ctc_loss cumprod cumsum deg2rad depth_to_space depthwise_conv det diag diagflat diagonal
    dice diff digitize divide divide_no_nan dot dot_product_attention dsplit dstack dtype eig eigh einsum
    elastic_transform empty empty_like equal erf erfc erfinv exp exp2 expand_dims expm1 extract_patches
    extract_patches_3d extract_sequences eye fabs fft fft2 flip fliplr flipud floor floor_divide fmax fmin fmod fold
    full full_like gaussian_blur gcd geomspace get_item greater greater_equal hamming hanning heaviside hinge
    histogram hsplit hstack hsv_to_rgb huber hypot i0 identity ifft2 imag in_top_k inner inv irfft is_tensor isclose
    isfinite isin isinf isnan isneginf isposinf isreal istft kaiser kl_divergence kld kron
    kullback_leibler_divergence layer_normalization lcm ldexp left_shift less less_equal linspace log log10 log1p
    log2 log_cosh logaddexp logaddexp2 logcosh logdet logical_and logical_not logical_or logical_xor logspace
    logsumexp lstsq lu_factor mae map_coordinates mape matmul matrix_rank max max_pool maximum mean
    mean_absolute_error mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error median
    meshgrid min minimum mod moments moveaxis mse msle multi_hot multiply nan_to_num nanargmax nanargmin nancumprod
    nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar ndim negative
    nextafter nonzero norm normalize not_equal one_hot ones ones_like outer pad pad_images pearson_correlation
    percentile perspective_transform pinv poisson polar power prod psnr ptp qr quantile rad2deg ravel real rearrange
    reciprocal repeat reshape resize rfft rgb_to_grayscale rgb_to_hsv right_shift rms_normalization roll rot90 round
    rsqrt saturate_cast scale_and_translate scatter scatter_update searchsorted segment_max segment_min segment_prod
    segment_sum select separable_conv shape sign signbit sin sinc sinh size slice slice_update slogdet sobel_edges
    solve solve_triangular sort space_to_depth sparse_categorical_accuracy sparse_categorical_crossentropy
    sparse_top_k_categorical_accuracy split sqrt square squared_hinge squeeze ssim stack std stft stop_gradient
    subtract sum svd swapaxes take take_along_axis tan tensordot tile top_k top_k_categorical_accuracy trace
    transpose trapezoid tri tril triu true_divide trunc tversky unfold unique unravel_index unstack vander var vdot
    view view_as_complex view_as_real vsplit vstack where zeros zeros_like
    """
)
"""Losses, metrics and the functions of ``keras.ops``, as far as they take no function themselves."""
